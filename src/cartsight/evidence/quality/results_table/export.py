"""The tidy table out again: CSV, Parquet, or ASM-shaped JSON."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from cartsight.core.errors import InputError
from cartsight.evidence.quality.results_table.allotrope import allotrope_document
from cartsight.evidence.quality.results_table.table import COLUMNS, ResultTable, row_values

FORMATS = (".csv", ".parquet", ".json")


def to_csv(table: ResultTable) -> str:
    """Return the table as CSV text with the columns of the result table."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in table.results:
        row = dict(row_values(result))
        row["value"] = repr(result.value)
        writer.writerow(row)
    return out.getvalue()


def write_table(table: ResultTable, path: Path | str) -> Path:
    """Write the table; the suffix of `path` says how (.csv, .parquet, .json for ASM-shaped JSON)."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError("unknown format", file=path, found=suffix or "no suffix", allowed=", ".join(FORMATS))
    if not path.parent.exists():
        raise InputError("no such folder", file=path.parent)
    if suffix == ".csv":
        path.write_text(to_csv(table), encoding="utf-8")
    elif suffix == ".json":
        path.write_text(json.dumps(allotrope_document(table), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    else:
        import pandas as pd

        pd.DataFrame([dict(row_values(r)) for r in table.results], columns=list(COLUMNS)).to_parquet(path, index=False)
    return path
