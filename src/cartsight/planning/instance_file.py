"""Read a network instance: AMPL-style sets and parameters, checked, with every complaint at its line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cartsight.core.errors import InputError, nearest
from cartsight.planning.instance import (
    HORIZON_DAYS,
    MAKING_DAYS,
    QUALITY_CONTROL_DAYS,
    RETURN_LIMIT_DAYS,
    VARIABLE_COST_PER_DAY,
    NetworkInstance,
)

LARGEST_FILE_BYTES = 50_000_000
SETS = ("c", "h", "j", "m", "p")
KEYED = {"CIM": "m", "CVM": "m", "FCAP": "m", "TT1": "j", "TT3": "j", "U1": "cmj", "U3": "mhj"}
SCALARS = ("TMFE", "TQC", "ND", "TLS", "TAD", "FMAX", "FMIN")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the file and the line it stands on."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Block:
    """One ``set`` or ``param`` block: its words after ``:=``, without the semicolon."""

    kind: str
    name: str
    line: int
    words: tuple[Token, ...]


def load_instance(path: str | Path) -> NetworkInstance:
    """Read an instance file.

    Parameters
    ----------
    path : path
        Words separated by blanks and newlines, ``#`` comments, blocks ``set c|h|j|m|p := names ;`` and
        ``param NAME := keys value ... ;`` with CIM, CVM, FCAP by plant; TT1, TT3 by mode; U1 by collection site, plant,
        mode; U3 by plant, hospital, mode; INC by patient, collection site, day; optional numbers TMFE (making), TQC
        (quality control), ND (return limit), TLS (leukapheresis), all in days.

    Raises
    ------
    InputError
        With file and line.
    """
    try:
        file = Path(path)
        return _instance(_blocks(_tokens(_text(file))), file.stem)
    except InputError as error:
        raise error.located(file=path) from None


def _text(path: Path) -> str:
    try:
        if path.is_dir():
            raise InputError("this is a folder, not an instance file")
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise InputError("the file is too large for an instance", allowed=f"up to {LARGEST_FILE_BYTES:,} bytes")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError("there is no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError("not a UTF-8 text file", line=line) from None
    if "\0" in text:
        raise InputError("not a text file", line=text[: text.index("\0")].count("\n") + 1)
    return text


def _tokens(text: str) -> list[Token]:
    tokens = []
    for number, line in enumerate(text.splitlines(), start=1):
        code = line.split("#", 1)[0].replace(":=", " := ").replace(";", " ; ")
        tokens += [Token(word, number) for word in code.split()]
    if not tokens:
        raise InputError("the file holds no data", hint="An instance starts with blocks such as `set c := c1 c2 ;`.")
    return tokens


def _blocks(tokens: list[Token]) -> list[Block]:
    blocks: list[Block] = []
    i = 0
    while i < len(tokens):
        head = tokens[i]
        if head.text in ("data", "end") and i + 1 < len(tokens) and tokens[i + 1].text == ";":
            i += 2
            continue
        if head.text not in ("set", "param"):
            raise InputError(
                "a block must start with `set` or `param`",
                line=head.line,
                found=head.text,
                hint=nearest(head.text, ("set", "param")),
            )
        if i + 2 >= len(tokens):
            raise InputError(f"the file ends inside a {head.text} block", line=head.line)
        name, assign = tokens[i + 1], tokens[i + 2]
        if assign.text != ":=":
            raise InputError(
                f"{head.text} {name.text}: the name must be followed by :=", line=assign.line, found=assign.text
            )
        i += 3
        words = []
        while i < len(tokens) and tokens[i].text != ";":
            if tokens[i].text in ("set", "param", ":="):
                raise InputError(
                    f"{head.text} {name.text}, begun on line {head.line}, is not closed by a semicolon",
                    line=tokens[i].line,
                    found=tokens[i].text,
                )
            words.append(tokens[i])
            i += 1
        if i == len(tokens):
            raise InputError(
                f"{head.text} {name.text} is not closed by a semicolon before the end of the file", line=head.line
            )
        i += 1
        blocks.append(Block(head.text, name.text, head.line, tuple(words)))
    return blocks


def _by_name(blocks: list[Block], kind: str) -> dict[str, Block]:
    found: dict[str, Block] = {}
    for block in blocks:
        if block.kind != kind:
            continue
        if block.name in found:
            raise InputError(
                f"{kind} {block.name} is given twice, first on line {found[block.name].line}", line=block.line
            )
        found[block.name] = block
    return found


def _names(sets: Mapping[str, Block], name: str) -> dict[str, int]:
    titles = {"c": "collection sites", "h": "hospitals", "j": "modes", "m": "plants", "p": "patients"}
    if name not in sets:
        raise InputError(
            f"set {name} ({titles[name]}) is missing", field=f"set {name}", allowed="sets " + ", ".join(SETS)
        )
    block = sets[name]
    numbers: dict[str, int] = {}
    for word in block.words:
        if word.text in numbers:
            raise InputError(f"set {name}: a name is given twice", line=word.line, found=word.text)
        numbers[word.text] = len(numbers)
    if not numbers:
        raise InputError(f"set {name} ({titles[name]}) is empty", line=block.line)
    return numbers


def _number(word: Token, what: str, *, whole: bool = False, minimum: float = 0.0) -> float:
    try:
        value = float(word.text)
    except ValueError:
        raise InputError(f"{what}: not a number", line=word.line, found=word.text) from None
    if not math.isfinite(value) or value < minimum:
        raise InputError(f"{what}: must be finite and at least {minimum:g}", line=word.line, found=word.text)
    if whole and value != int(value):
        raise InputError(f"{what}: must be a whole number", line=word.line, found=word.text)
    return value


def _look_up(word: Token, numbers: Mapping[str, int], block: Block, set_name: str) -> int:
    if word.text not in numbers:
        raise InputError(
            f"param {block.name}: not a member of set {set_name}",
            line=word.line,
            found=word.text,
            hint=nearest(word.text, numbers),
        )
    return numbers[word.text]


def _rows(block: Block, width: int) -> list[tuple[Token, ...]]:
    if len(block.words) % width:
        last = block.words[-(len(block.words) % width)]
        raise InputError(
            f"param {block.name}: rows have {width} entries, and the last is incomplete or one before it is too short",
            line=last.line,
            found=" ".join(word.text for word in block.words[-(len(block.words) % width) :]),
        )
    return [block.words[i : i + width] for i in range(0, len(block.words), width)]


def _table(
    params: Mapping[str, Block], name: str, sets: Mapping[str, Mapping[str, int]], *, whole: bool = False
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return one keyed parameter as an array; every combination of keys must be given once."""
    keys = KEYED[name]
    if name not in params:
        raise InputError(f"param {name} is missing", field=f"param {name}", hint=nearest(name, params))
    block = params[name]
    values = np.full([len(sets[key]) for key in keys], np.nan)
    for row in _rows(block, len(keys) + 1):
        place = tuple(_look_up(word, sets[key], block, key) for word, key in zip(row, keys, strict=False))
        if not np.isnan(values[place]):
            raise InputError(
                f"param {name}: given twice", line=row[0].line, found=" ".join(word.text for word in row[:-1])
            )
        values[place] = _number(row[-1], f"param {name}", whole=whole)
    if np.isnan(values).any():
        place = tuple(int(axis[0]) for axis in np.nonzero(np.isnan(values)))
        missing = " ".join(list(sets[key])[i] for key, i in zip(keys, place, strict=True))
        raise InputError(f"param {name}: no value for {missing}", line=block.line)
    return values


def _scalar(params: Mapping[str, Block], name: str, default: int) -> int:
    if name not in params:
        return default
    block = params[name]
    if len(block.words) != 1:
        raise InputError(f"param {name}: one number is needed", line=block.line, found=len(block.words))
    return int(_number(block.words[0], f"param {name}", whole=True))


def _variable_cost(
    params: Mapping[str, Block], sets: Mapping[str, Mapping[str, int]], remarks: list[str]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    if "CVM" in params:
        return _table(params, "CVM", sets)
    unknown = [site for site in sets["m"] if site not in VARIABLE_COST_PER_DAY]
    if unknown:
        raise InputError(
            f"param CVM is missing and there is no default for plant {unknown[0]}",
            field="param CVM",
            allowed="a CVM block, or plants named " + ", ".join(VARIABLE_COST_PER_DAY),
        )
    remarks.append("CVM is not in the file: the published default table was used.")
    if "m7" in sets["m"]:
        remarks.append("CVM of m7 is not published: 313,800 per day (twice m2) was assumed.")
    return np.array([VARIABLE_COST_PER_DAY[site] for site in sets["m"]])


def _incidence(params: Mapping[str, Block], sets: Mapping[str, Mapping[str, int]]) -> tuple[list[int], list[int]]:
    if "INC" not in params:
        raise InputError("param INC (patient, collection site, day) is missing", hint=nearest("INC", params))
    block = params["INC"]
    site = [-1] * len(sets["p"])
    day = [-1] * len(sets["p"])
    for row in _rows(block, 4):
        patient = _look_up(row[0], sets["p"], block, "p")
        at = _look_up(row[1], sets["c"], block, "c")
        on = int(_number(row[2], "param INC, day", whole=True, minimum=1.0))
        flag = _number(row[3], "param INC", whole=True)
        if flag == 0:
            continue
        if flag != 1:
            raise InputError("param INC: the last entry of a row is 1 (or 0)", line=row[3].line, found=row[3].text)
        if site[patient] >= 0:
            raise InputError("param INC: a patient is collected twice", line=row[0].line, found=row[0].text)
        site[patient], day[patient] = at, on
    if -1 in site:
        raise InputError("param INC: a patient has no row", line=block.line, found=list(sets["p"])[site.index(-1)])
    return site, day


def _instance(blocks: list[Block], name: str) -> NetworkInstance:
    set_blocks, params = _by_name(blocks, "set"), _by_name(blocks, "param")
    sets = {key: _names(set_blocks, key) for key in SETS}
    if len(sets["c"]) != len(sets["h"]):
        raise InputError(
            "sets c and h must be equally long: hospital i belongs to collection site i",
            line=set_blocks["h"].line,
            found=f"{len(sets['c'])} collection sites, {len(sets['h'])} hospitals",
        )
    known = {*KEYED, *SCALARS, "INC"}
    remarks = [
        f"param {block.name} on line {block.line} is not part of the format and was ignored."
        + (f" {hint}" if (hint := nearest(block.name, known)) else "")
        for block in params.values()
        if block.name not in known
    ]
    for scalar, inert in (("FMAX", 1), ("FMIN", 0)):
        if _scalar(params, scalar, inert) != inert:
            raise InputError(
                f"param {scalar}: flow limits other than the published ones are not part of the reduced model",
                line=params[scalar].line,
                allowed=str(inert),
            )
    site, day = _incidence(params, sets)
    return NetworkInstance(
        name=name,
        collection_sites=tuple(sets["c"]),
        hospitals=tuple(sets["h"]),
        modes=tuple(sets["j"]),
        sites=tuple(sets["m"]),
        patients=tuple(sets["p"]),
        site_cost_per_day=_table(params, "CIM", sets) + _variable_cost(params, sets, remarks),
        lines=_table(params, "FCAP", sets, whole=True).astype(np.int64),
        days_out=_table(params, "TT1", sets, whole=True).astype(np.int64),
        days_back=_table(params, "TT3", sets, whole=True).astype(np.int64),
        cost_out=_table(params, "U1", sets),
        cost_back=_table(params, "U3", sets),
        patient_site=np.array(site, dtype=np.int64),
        patient_day=np.array(day, dtype=np.int64),
        leukapheresis_days=_scalar(params, "TLS", 1),
        making_days=_scalar(params, "TMFE", MAKING_DAYS),
        quality_control_days=_scalar(params, "TQC", QUALITY_CONTROL_DAYS),
        return_limit_days=_scalar(params, "ND", RETURN_LIMIT_DAYS),
        horizon_days=HORIZON_DAYS,
        remarks=tuple(remarks),
    )
