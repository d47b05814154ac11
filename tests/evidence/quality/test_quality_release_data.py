"""The tidy result table: readers, mapping, bridging, exports, and what the report says."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError
from cartsight.evidence.quality.results_table import (
    Gate,
    Result,
    ResultTable,
    allotrope_document,
    bridge,
    build_mapping,
    data_report,
    gated_shares,
    read_allotrope,
    read_fcs,
    read_gates,
    read_instrument,
    read_spreadsheet,
    to_csv,
    write_table,
)

HEADER = "batch,donor,site,run,lab,assay,attribute,value,unit,replicate,specification,date\n"
VENDOR = """Lot No.;Prüfdatum;Test;Ergebnis;Einheit
A1;03.02.2026;Viab.;87,5;%
A2;04.02.2026;Viab.;nicht bestimmt;%
A3;05.02.2026;VCN;< 0,10;copies
A4;99.99.2026;Viab.;90;%
;06.02.2026;Viab.;90;%
A6;06.02.2026;Dose;250;1e6 cells
"""

# Written by hand in the shape that allotropy 0.1.150 gives a cell counter's export.
ASM: dict[str, Any] = {
    "$asm.manifest": "http://purl.allotrope.org/manifests/cell-counting/REC/2024/09/cell-counting.manifest",
    "cell counting aggregate document": {
        "cell counting document": [
            {
                "analyst": "one",
                "measurement aggregate document": {
                    "measurement document": [
                        {
                            "measurement identifier": "m1",
                            "measurement time": "2026-03-10T09:10:00+00:00",
                            "sample document": {"sample identifier": "LOT-1"},
                            "processed data aggregate document": {
                                "processed data document": [
                                    {
                                        "data processing document": {
                                            "cell density dilution factor": {"value": 1.0, "unit": "(unitless)"}
                                        },
                                        "viability (cell counter)": {"value": 90.0, "unit": "%"},
                                        "viable cell density (cell counter)": {"value": "N/A", "unit": "10^6 cells/mL"},
                                        "total cell count": {"value": 1500, "unit": "cell"},
                                    }
                                ]
                            },
                        }
                    ]
                },
            },
            {"measurement aggregate document": {"measurement document": [{"sample document": {}}]}},
        ]
    },
}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_tidy_csv_round_trip(tmp_path: Path) -> None:
    rows = (
        "B1,D1,S1,R1,L1,flow,car,41.5,percent,1,v1,2026-01-02\nB1,D1,S1,R1,L1,flow,car,42.25,percent,2,v1,2026-01-02\n"
    )
    table = read_spreadsheet(write(tmp_path / "t.csv", HEADER + rows))
    assert [result.value for result in table.results] == [41.5, 42.25]
    again = read_spreadsheet(write(tmp_path / "u.csv", to_csv(table)))
    assert [r.identity for r in again.results] == [r.identity for r in table.results]
    assert to_csv(again) == to_csv(table)


def test_mapping_with_decimal_comma_dates_units_and_censoring(tmp_path: Path) -> None:
    mapping = build_mapping(
        {
            "columns": {
                "batch": "Lot No.", "date": "Prüfdatum", "attribute": "Test", "value": "Ergebnis", "unit": "Einheit",
            },
            "constants": {"lab": "east"},
            "attributes": {"Viab.": "viability", "VCN": "vector_copy_number"},
            "units": {"1e6 cells": {"to": "cells", "factor": 1e6}, "%": {"to": "percent", "factor": 1}},
            "decimal_comma": True,
            "date_format": "%d.%m.%Y",
        }
    )  # fmt: skip
    table = read_spreadsheet(write(tmp_path / "v.csv", VENDOR), mapping)
    found = {result.batch: result for result in table.results}
    assert found["A1"].value == 87.5 and found["A1"].date == "2026-02-03" and found["A1"].lab == "east"
    assert (found["A3"].censored, found["A3"].value) == ("<", 0.10)
    assert (found["A6"].value, found["A6"].unit) == (250e6, "cells")
    report = data_report(table)
    assert report.rows == 6 and report.kept == 3 and report.dropped == 3
    assert report.reasons == {"value is not a number": 1, "date cannot be read": 1, "no batch": 1}
    assert {(row.line, row.reason) for row in report.dropped_rows} >= {(5, "date cannot be read")}


def test_wide_excel(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "QC"
    for row in (["Exported by", "x"], ["Lot", "Viability (%)", "VCN"], ["A1", 88.5, 2.1], ["A2", None, 1.9]):
        sheet.append(row)
    book.save(tmp_path / "w.xlsx")
    mapping = build_mapping(
        {
            "sheet": "QC",
            "header_line": 2,
            "columns": {"batch": "Lot"},
            "wide": {
                "Viability (%)": {"attribute": "viability", "unit": "percent"},
                "VCN": {"attribute": "vector_copy_number", "unit": "copies_per_cell"},
            },
        }
    )
    table = read_spreadsheet(tmp_path / "w.xlsx", mapping)
    assert sorted((r.batch, r.attribute, r.value) for r in table.results) == [
        ("A1", "vector_copy_number", 2.1), ("A1", "viability", 88.5), ("A2", "vector_copy_number", 1.9),
    ]  # fmt: skip
    assert data_report(table).reasons == {"no value": 1}
    with pytest.raises(InputError, match="no such sheet"):
        read_spreadsheet(tmp_path / "w.xlsx", build_mapping({"sheet": "QA", "columns": {"batch": "Lot"}}))


def test_repeats_and_contradictions(tmp_path: Path) -> None:
    row = "B1,,,,L1,flow,car,41.5,percent,1,,2026-01-02\n"
    table = read_spreadsheet(write(tmp_path / "t.csv", HEADER + row + row + row.replace("41.5", "43")))
    assert len(table) == 1
    assert data_report(table).reasons == {
        "repeat of an earlier row": 1,
        "contradicts an earlier row with the same identifiers": 1,
    }


def test_report_says_what_the_table_cannot_answer(tmp_path: Path) -> None:
    rows = "".join(f"B{i},,,,L1,flow,car,{40 + i},percent,1,,\n" for i in range(4))
    report = data_report(read_spreadsheet(write(tmp_path / "t.csv", HEADER + rows)))
    assert any("one laboratory" in word for word in report.remarks)
    assert any("no replicates" in word for word in report.remarks)
    assert set(report.empty_columns) >= {"donor", "site", "date", "events"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("batch,attribute,value,unit\n", "no rows"),
        ("lot,attribute,value,unit\nA,b,1,c\n", "column 'batch' is missing"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_spreadsheet(write(tmp_path / "t.csv", text))


def test_bad_files(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"batch,attribute,value,unit\n\xff,a,1,u\n")
    (tmp_path / "x.xlsx").write_bytes(b"not a workbook")
    for name, words in (("x.csv", "UTF-8"), ("x.xlsx", "not an Excel workbook"), ("none.csv", "no such file")):
        with pytest.raises(InputError, match=words):
            read_spreadsheet(tmp_path / name)
    with pytest.raises(InputError, match="Did you mean 'columns'"):
        build_mapping({"colums": {}})
    with pytest.raises(InputError, match="Did you mean 'batch'"):
        build_mapping({"columns": {"batc": "x"}})


def test_allotrope_json(tmp_path: Path) -> None:
    table = read_allotrope(write(tmp_path / "a.json", json.dumps(ASM)), lab="east")
    found = {result.attribute: result for result in table.results}
    assert set(found) == {"viability (cell counter)", "total cell count"}
    assert found["total cell count"].value == 1500 and found["total cell count"].date == "2026-03-10"
    assert found["total cell count"].assay == "cell counting" and found["total cell count"].lab == "east"
    assert data_report(table).reasons == {"value is not a number": 1, "no sample or batch identifier": 1}
    with pytest.raises(InputError, match="aggregate document"):
        read_allotrope(write(tmp_path / "b.json", "{}"))
    with pytest.raises(InputError, match="not valid JSON"):
        read_allotrope(write(tmp_path / "c.json", "{"))


def test_allotrope_shaped_export_is_read_back(tmp_path: Path) -> None:
    table = ResultTable(
        tuple(
            Result(batch, attribute, value, "percent", assay="flow", lab="L1", run="r1", date="2026-01-02")
            for batch, attribute, value in (("A", "viability", 90.0), ("A", "car", 40.5), ("B", "car", 41.0))
        )
    )
    path = write_table(table, tmp_path / "t.json")
    again = read_allotrope(path)
    assert sorted((r.batch, r.attribute, r.value) for r in again.results) == sorted(
        (r.batch, r.attribute, r.value) for r in table.results
    )
    assert "flow aggregate document" in allotrope_document(table)
    with pytest.raises(InputError, match="unknown format"):
        write_table(table, tmp_path / "t.pdf")


def test_instrument_export_through_allotropy(tmp_path: Path) -> None:
    pytest.importorskip("allotropy")
    header = (
        "Sample ID,Sample Status,Cell count,Viable cells,Total (x10^6) cells/mL,Viable (x10^6) cells/mL,Viability (%),"
        "Average diameter (μm),Dilution,Cell type,Analysis date/time,Analysis by"
    )
    row = "LOT-1,Completed,1500,1350,1.5,1.35,90.0,10.1,1,T cell,10/03/2026 09:10:00,one"
    path = write(tmp_path / "run.csv", f"{header}\n{row}\n")
    table = read_instrument(path, "BECKMAN_VI_CELL_BLU")
    assert {r.attribute: r.value for r in table.results}["viability (cell counter)"] == 90.0
    with pytest.raises(InputError, match="unknown instrument"):
        read_instrument(path, "BECKMAN_VICELL")


def test_rectangular_gates_count_what_lies_inside() -> None:
    events = np.array([[1.0, 1.0], [1.0, 5.0], [5.0, 1.0], [5.0, 5.0], [9.0, 9.0]])
    gates = [Gate("live", {"A": (0.0, 8.0)}), Gate("car", {"B": (4.0, 8.0)}, parent="live")]
    live, car = gated_shares(events, ["A", "B"], gates)
    assert (live.events, live.parent_events, live.percent) == (4, 5, 80.0)
    assert (car.events, car.parent_events, car.percent) == (2, 4, 50.0)
    with pytest.raises(InputError, match="no such channel"):
        gated_shares(events, ["A", "B"], [Gate("x", {"C": (0, 1)})])


def test_synthetic_fcs_file(tmp_path: Path) -> None:
    flowio = pytest.importorskip("flowio")
    rng = np.random.default_rng(2)
    positive = rng.random(2000) < 0.4
    events = np.column_stack([rng.normal(100, 5, 2000), np.where(positive, 1000.0, 10.0)])
    buffer = io.BytesIO()
    flowio.create_fcs(buffer, events.ravel().tolist(), ["FSC-A", "FL1-A"], opt_channel_names=["", "CAR"])
    (tmp_path / "lot7.fcs").write_bytes(buffer.getvalue())
    gates = write(
        tmp_path / "g.toml",
        '[gates.cells]\nranges = { "FSC-A" = [50, 150] }\n'
        '[gates.car]\nparent = "cells"\nattribute = "car_positive"\nranges = { CAR = [100, 10000] }\n',
    )
    table = read_fcs(tmp_path / "lot7.fcs", read_gates(gates))
    found = {result.attribute: result for result in table.results}
    assert found["car_positive"].value == pytest.approx(100 * positive.mean())
    assert found["car_positive"].events == 2000 and found["car_positive"].batch == "lot7"
    with pytest.raises(InputError, match="not an FCS file"):
        read_fcs(gates, read_gates(gates))


def labs(bias: dict[str, float], seed: int = 3) -> ResultTable:
    rng = np.random.default_rng(seed)
    rows = []
    for lab in bias:
        for replicate in range(1, 5):
            rows.append(("REF", lab, replicate, 100.0))
            rows.extend((f"B{i}", lab, replicate, 80.0 + 5 * i) for i in range(6))
    return ResultTable(
        tuple(
            Result(batch, "potency", value * math.exp(bias[lab] + 0.02 * rng.normal()), "percent", lab=lab, replicate=n)
            for batch, lab, n, value in rows
        )
    )


def test_bridging_removes_what_multiplies_a_laboratory() -> None:
    done = bridge(labs({"L1": 0.0, "L2": 0.3, "L3": -0.25}), "REF", assigned={"potency": 100.0})
    effect = done.effects[0]
    assert effect.shared_batches == 6 and effect.groups == 3
    assert effect.between_sd_before == pytest.approx(np.std([0, 0.3, -0.25], ddof=1), abs=0.03)
    assert effect.between_sd_after < 0.03
    factor = {f.group[0]: f for f in done.factors}
    assert factor["L2"].factor == pytest.approx(math.exp(-0.3), rel=0.03)
    assert factor["L2"].lower < factor["L2"].factor < factor["L2"].upper
    reference = [r.value for r in done.table.results if r.batch == "REF" and r.lab == "L2"]
    assert np.exp(np.mean(np.log(reference))) == pytest.approx(100.0)


def test_bridging_drops_groups_that_never_saw_the_reference() -> None:
    table = labs({"L1": 0.0})
    table = table.joined(ResultTable((Result("B0", "potency", 90.0, "percent", lab="L9"),)))
    done = bridge(table, "REF")
    assert [row.found for row in done.table.dropped] == ["L9"]
    with pytest.raises(InputError, match="no usable result"):
        bridge(table, "RFE")
    with pytest.raises(InputError, match="unknown grouping"):
        bridge(table, "REF", by=["laboratory"])


def test_commands(tmp_path: Path) -> None:
    runner = CliRunner()
    source = write(tmp_path / "t.csv", to_csv(labs({"L1": 0.0, "L2": 0.2})))
    tidy = tmp_path / "tidy.csv"
    done = runner.invoke(app, ["quality", "data", "import", str(source), "-o", str(tidy), "--json"])
    assert done.exception is None, done.exception
    assert json.loads(done.stdout)["kept"] == 56
    for arguments in (["report", str(tidy)], ["bridge", str(tidy), "--reference", "REF", "--assigned", "potency=100"]):
        done = runner.invoke(app, ["quality", "data", *arguments, "--json"])
        assert done.exception is None, done.exception
        assert json.loads(done.stdout)
        done = runner.invoke(app, ["quality", "data", *arguments])
        assert done.exception is None and "potency" in done.stdout
    for name in ("t.parquet", "t.json"):
        done = runner.invoke(app, ["quality", "data", "export", str(tidy), "-o", str(tmp_path / name), "--json"])
        assert done.exception is None, done.exception
        assert (tmp_path / name).stat().st_size > 100
    done = runner.invoke(app, ["quality", "data", "report", str(write(tmp_path / "x.fcs", "FCS3.1"))])
    assert isinstance(done.exception, InputError) and "--gates" in str(done.exception)
