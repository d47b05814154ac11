"""Reading the results of any model from CSV, so that the analysis needs no cartsight scenario.

Files are UTF-8 text, plain or compressed by gzip, with a header; the separator is a comma, or a semicolon or tab where the header has no
comma. Column names are matched without regard to case, spaces or underscores; other columns are ignored.
"""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.core.text_files import DAMAGED, damaged, open_bytes, open_text

if TYPE_CHECKING:
    import pandas as pd

Float = npt.NDArray[np.float64]

_HEADER_LIMIT = 1_000_000

STRATEGY_NAMES = ("strategy", "strategies", "arm", "treatment", "intervention", "option")
COST_NAMES = ("cost", "costs", "totalcost", "meancost")
EFFECT_NAMES = ("effect", "effects", "qaly", "qalys", "utility", "lifeyears", "ly")
DRAW_NAMES = ("draw", "draws", "iteration", "iter", "simulation", "sim", "sample")


@dataclass(frozen=True)
class StrategyResults:
    """Expected cost and effect of each strategy, in the order of the file."""

    strategies: tuple[str, ...]
    costs: Float
    effects: Float


@dataclass(frozen=True)
class DrawResults:
    """Cost and effect per parameter draw, shape (draws, strategies), strategies in order of appearance."""

    draws: tuple[str, ...]
    strategies: tuple[str, ...]
    costs: Float
    effects: Float


def normal_name(name: str) -> str:
    """Return a column name in lower case without spaces, underscores and hyphens."""
    return "".join(ch for ch in name.strip().lower() if ch not in " _-")


def _separator(header: str) -> str:
    if "," in header:
        return ","
    if ";" in header:
        return ";"
    return "\t" if "\t" in header else ","


def _open_header(path: Path) -> tuple[str, str]:
    """Return the header line and the separator, or raise for a file that cannot be a table."""
    try:
        with open_text(path) as stream:
            header = stream.readline(_HEADER_LIMIT)
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except IsADirectoryError:
        raise InputError("this is a folder, not a file", file=path) from None
    except DAMAGED:
        raise damaged(path) from None
    except OSError as error:
        raise InputError(f"cannot read the file ({error.strerror})", file=path) from None
    except UnicodeDecodeError:
        raise _not_text(path) from None
    if not header.strip():
        raise InputError("the file is empty or does not start with a header", file=path, line=1)
    if len(header) >= _HEADER_LIMIT:
        raise InputError("the first line is longer than a header can be", file=path, line=1)
    return header, _separator(header)


def _not_text(path: Path) -> InputError:
    line = None
    with open_bytes(path) as stream:
        for number, raw in enumerate(stream, 1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError:
                line = number
                break
    return InputError(
        "the file is not UTF-8 text", file=path, line=line, hint="Save the table as CSV with UTF-8 encoding"
    )


def records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of every row of a CSV file that is not blank, the header first.

    Raises
    ------
    InputError
        When the file is missing, empty, not UTF-8, not parseable, or a row has more or fewer cells than the
        header.
    """
    _, separator = _open_header(path)
    width = 0
    try:
        with open_text(path) as stream:
            reader = csv.reader(stream, delimiter=separator, skipinitialspace=True)
            before = 0
            for cells in reader:
                line, before = before + 1, reader.line_num
                if not any(cell.strip() for cell in cells):
                    continue
                if width and len(cells) != width:
                    raise InputError(
                        f"the row has {len(cells)} cells and the header {width}",
                        file=path,
                        line=line,
                        hint="Put quotes around a cell that holds the separator",
                    )
                width = len(cells)
                yield line, [cell.strip() for cell in cells]
    except UnicodeDecodeError:
        raise _not_text(path) from None
    except DAMAGED:
        raise damaged(path) from None
    except csv.Error as error:
        raise InputError(f"the row cannot be read as CSV ({error})", file=path, line=reader.line_num) from None


def _header(path: Path) -> list[str]:
    for _, cells in records(path):
        return cells
    raise InputError("the file is empty", file=path)


def _find(header: Sequence[str], wanted: Mapping[str, Sequence[str]], path: Path) -> dict[str, int]:
    """Return the position of every wanted column, or raise with the nearest name."""
    names = [normal_name(name) for name in header]
    found = {}
    for field, options in wanted.items():
        at = [i for i, name in enumerate(names) if name in options]
        exact = [i for i, name in enumerate(names) if name == normal_name(field)]
        chosen = exact or at
        if not chosen:
            close = nearest(field, header)
            raise InputError(
                f"the column {field!r} is missing",
                file=path,
                line=1,
                found=", ".join(header),
                allowed=f"a column called {field!r} (or {', '.join(o for o in options if o != field)})",
                hint=close,
            )
        if len(chosen) > 1:
            raise InputError(f"there are two columns {field!r}", file=path, line=1, found=", ".join(header))
        found[field] = chosen[0]
    return found


def _number(text: str, field: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        raise InputError(
            "not a number",
            file=path,
            line=line,
            field=field,
            found=text,
            allowed="a finite number with a decimal point and no thousands separator",
        )
    return value


def _text(text: str, field: str, path: Path, line: int) -> str:
    if not text:
        raise InputError("the cell is empty", file=path, line=line, field=field)
    return text


def read_strategy_results(path: Path) -> StrategyResults:
    """Return the strategies of a file with the columns strategy, cost and effect.

    Raises
    ------
    InputError
        With file and line: unreadable file, missing column, empty cell, text or NaN for a number, repeated
        strategy, fewer than two strategies.
    """
    rows = records(path)
    _, header = next(rows, (0, []))
    at = _find(header, {"strategy": STRATEGY_NAMES, "cost": COST_NAMES, "effect": EFFECT_NAMES}, path)
    names: dict[str, int] = {}
    costs, effects = [], []
    for line, cells in rows:
        name = _text(cells[at["strategy"]], "strategy", path, line)
        if name in names:
            raise InputError(
                f"the strategy appears twice (first on line {names[name]})",
                file=path,
                line=line,
                field="strategy",
                found=name,
            )
        names[name] = line
        costs.append(_number(cells[at["cost"]], "cost", path, line))
        effects.append(_number(cells[at["effect"]], "effect", path, line))
    if len(names) < 2:
        raise InputError("a comparison needs at least two strategies", file=path, found=len(names))
    return StrategyResults(tuple(names), np.asarray(costs), np.asarray(effects))


def _read_fast(path: Path, header: Sequence[str], text: Sequence[int], numbers: Sequence[int]) -> pd.DataFrame:
    """Return the chosen columns by position; on anything odd, walk the file again and raise with the line."""
    import pandas as pd

    _, separator = _open_header(path)
    # Unused columns are read as text too: only then does the parser notice rows that are too long.
    kinds: dict[int, type] = {**dict.fromkeys(range(len(header)), str), **dict.fromkeys(numbers, float)}
    chosen = sorted({*text, *numbers})
    try:
        with warnings.catch_warnings(), open_text(path) as stream:
            warnings.simplefilter("error")
            table = pd.read_csv(
                stream,
                sep=separator,
                header=0,
                names=list(range(len(header))),
                index_col=False,
                dtype=kinds,
                keep_default_na=False,
                skipinitialspace=True,
            )
        clean = bool(np.isfinite(table[list(numbers)].to_numpy(dtype=np.float64)).all())
        clean = clean and not any(table[column].str.strip().eq("").any() for column in text)
    except (ValueError, UnicodeDecodeError, Warning, pd.errors.ParserError, *DAMAGED):
        clean = False
    if clean:
        return table[chosen]
    cells_of: dict[int, list[object]] = {column: [] for column in chosen}
    rows = records(path)
    next(rows)
    for line, cells in rows:
        for column in text:
            cells_of[column].append(_text(cells[column], header[column], path, line))
        for column in numbers:
            cells_of[column].append(_number(cells[column], header[column], path, line))
    return pd.DataFrame(cells_of)


def _line_of(path: Path, row: int) -> int:
    for position, (line, _) in enumerate(records(path)):
        if position == row + 1:
            return line
    return 1


def _draw_keys(column: pd.Series[str]) -> pd.Series[str]:
    """Return draw labels in which 1, 01 and 1.0 are the same draw."""
    import pandas as pd

    number = pd.to_numeric(column, errors="coerce")
    if bool(number.notna().all()) and bool((number == number.round()).all()):
        return number.astype("int64").astype(str)
    return column.str.strip()


def read_draw_results(path: Path) -> DrawResults:
    """Return the draws of a file with one row per draw and strategy: draw, strategy, cost, effect.

    Raises
    ------
    InputError
        With file and line: as `read_strategy_results`; also a repeated or missing pair of draw and strategy,
        fewer than two draws.
    """
    import pandas as pd

    header = _header(path)
    wanted = {"draw": DRAW_NAMES, "strategy": STRATEGY_NAMES, "cost": COST_NAMES, "effect": EFFECT_NAMES}
    at = _find(header, wanted, path)
    table = _read_fast(path, header, (at["draw"], at["strategy"]), (at["cost"], at["effect"]))
    if table.empty:
        raise InputError("the file has a header and no rows", file=path)
    draw_code, draws = pd.factorize(_draw_keys(table[at["draw"]]))
    strategy_code, strategies = pd.factorize(table[at["strategy"]].str.strip())
    if len(strategies) < 2:
        raise InputError(
            "a comparison needs at least two strategies", file=path, field="strategy", found=list(strategies)
        )
    if len(draws) < 2:
        raise InputError("an uncertainty analysis needs at least two draws", file=path, field="draw", found=len(draws))
    if len(draws) * len(strategies) > 20 * len(table) + 1000:
        raise InputError(
            "most draws hold no row for most strategies",
            file=path,
            found=f"{len(draws)} draws, {len(strategies)} strategies, {len(table)} rows",
            hint="Every draw needs one row per strategy",
        )
    cell = draw_code * len(strategies) + strategy_code
    repeated = pd.Series(cell).duplicated().to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        raise InputError(
            f"draw {draws[draw_code[row]]!r} has a second row for {strategies[strategy_code[row]]!r}",
            file=path,
            line=_line_of(path, row),
        )
    present = np.zeros(len(draws) * len(strategies), dtype=bool)
    present[cell] = True
    if not present.all():
        missing = int((~present).argmax())
        raise InputError(
            f"draw {draws[missing // len(strategies)]!r} has no row for strategy "
            f"{strategies[missing % len(strategies)]!r}",
            file=path,
            hint="Every draw needs one row per strategy",
        )
    shape = (len(draws), len(strategies))
    costs, effects = np.empty(shape), np.empty(shape)
    costs[draw_code, strategy_code] = table[at["cost"]].to_numpy(dtype=np.float64)
    effects[draw_code, strategy_code] = table[at["effect"]].to_numpy(dtype=np.float64)
    return DrawResults(tuple(map(str, draws)), tuple(map(str, strategies)), costs, effects)


def read_draw_parameters(path: Path, draws: Sequence[str]) -> dict[str, Float]:
    """Return the parameters of a file with a column draw and a column per parameter, ordered as `draws`.

    Raises
    ------
    InputError
        With file and line: unreadable file, text in a number column, repeated parameter or draw, and draws
        that differ from those of the results.
    """
    import pandas as pd

    header = _header(path)
    at = _find(header, {"draw": DRAW_NAMES}, path)["draw"]
    columns = [i for i in range(len(header)) if i != at]
    names = [header[i] for i in columns]
    for i in columns:
        if not header[i]:
            raise InputError("a column has no name", file=path, line=1, found=f"column {i + 1}")
        if names.count(header[i]) > 1:
            raise InputError("two parameters have the same name", file=path, line=1, found=header[i])
    if not columns:
        raise InputError("the file holds no parameter beside the draw", file=path, line=1, found=", ".join(header))
    table = _read_fast(path, header, (at,), columns)
    keys = _draw_keys(table[at])
    repeated = keys.duplicated().to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        raise InputError("the draw appears twice", file=path, line=_line_of(path, row), found=str(keys.iloc[row]))
    position = pd.Index(keys).get_indexer(pd.Index(list(draws)))
    if np.any(position < 0):
        raise InputError(
            "a draw of the results has no parameters",
            file=path,
            field="draw",
            found=draws[int((position < 0).argmax())],
        )
    if len(table) > len(draws):
        known = set(draws)
        row = next(i for i, key in enumerate(keys) if key not in known)
        raise InputError(
            "a draw of the parameters has no results",
            file=path,
            line=_line_of(path, row),
            found=str(keys.iloc[row]),
        )
    return {header[i]: table[i].to_numpy(dtype=np.float64)[position] for i in columns}
