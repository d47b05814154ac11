"""Numbers as papers print them, with the interval that their rounding allows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from cartsight.core.errors import InputError

# A printed 314,000 may be any amount that rounds to it in thousands; papers rarely round more than that.
_COARSEST_ROUNDING = 1000.0

_BLANK = frozenset({"", "-", "–", "—", "na", "n/a", "nr", "n.r.", "none", "not reported", "nan", "..", "?"})
_SPACES = "[ \u00a0\u2009\u202f']"
_SCALES = {
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "mn": 1e6,
    "million": 1e6,
    "bn": 1e9,
    "billion": 1e9,
}
_ONE_NUMBER = re.compile(
    rf"(?P<sign>[-+−])?\s*(?:[A-Z]{{0,3}}[$£€¥]|[A-Z]{{3}})?\s*(?P<sign2>[-−])?\s*"
    rf"(?P<digits>\d(?:{_SPACES}?[\d.,])*)\s*(?P<scale>thousand|million|billion|mn|bn|[kKmM])?(?![A-Za-z])"
)


class Verdict(StrEnum):
    """Words that papers print in place of a ratio."""

    DOMINANT = "dominant"
    DOMINATED = "dominated"


@dataclass(frozen=True)
class PrintedNumber:
    """A number as printed.

    Attributes
    ----------
    text : str
    value : float
        The number, or the middle of a printed range.
    low, high : float
        The values that would have been printed so: half a unit of the last digit on each side. For an integer
        the unit is that of its last digit that is not zero, but no coarser than thousands and leaving at
        least two digits; with a printed scale (61k) it is the scale.
    """

    text: str
    value: float
    low: float
    high: float


def is_blank(text: str) -> bool:
    """Return True for an empty cell or one of the usual marks for no number."""
    return text.strip().lower() in _BLANK


def read_verdict(text: str) -> Verdict | None:
    """Return the verdict when the cell says that a strategy dominates or is dominated, else None."""
    words = text.strip().lower()
    if re.search(r"dominated|inferior", words):
        return Verdict.DOMINATED
    if re.search(r"dominant|dominates|dominating|cost[- ]?saving", words):
        return Verdict.DOMINANT
    return None


def _decimal(digits: str) -> tuple[float, int, str]:
    """Return value, number of decimals and the bare whole digits."""
    text = re.sub(_SPACES, "", digits).rstrip(".,")
    if "." in text and "," in text:
        decimal = max(text.rfind("."), text.rfind(","))
        whole, fraction = re.sub(r"[.,]", "", text[:decimal]), text[decimal + 1 :]
        if text.count(text[decimal]) > 1:
            raise ValueError
    elif "," in text:
        if re.fullmatch(r"\d{1,3}(,\d{3})+", text):
            whole, fraction = text.replace(",", ""), ""
        elif text.count(",") == 1:
            whole, fraction = text.split(",")
        else:
            raise ValueError
    elif text.count(".") > 1:
        if not re.fullmatch(r"\d{1,3}(\.\d{3})+", text):
            raise ValueError
        whole, fraction = text.replace(".", ""), ""
    else:
        whole, _, fraction = text.partition(".")
    return float(f"{whole}.{fraction or '0'}"), len(fraction), whole


def _one(match: re.Match[str]) -> tuple[float, float, float]:
    value, decimals, whole = _decimal(match["digits"])
    unit = 10.0**-decimals
    scale = _SCALES[match["scale"].lower()] if match["scale"] else 1.0
    if not decimals and scale == 1.0:
        bare = whole.lstrip("0")
        zeros = len(bare) - len(bare.rstrip("0"))
        unit = min(10.0 ** max(min(zeros, len(bare) - 2), 0), _COARSEST_ROUNDING)
    sign = -1.0 if (match["sign"] or match["sign2"] or "") in {"-", "−"} else 1.0
    value, half = sign * value * scale, 0.5 * unit * scale
    return value, value - half, value + half


def read_printed_number(text: str) -> PrintedNumber | None:
    """Return the number in a cell of a published table, or None for a blank cell.

    Understands currency signs and codes, thousands written with comma, dot, apostrophe or space, decimal
    points and commas, the scales k, M, million and so on, negative numbers with a minus or in brackets,
    trailing units such as "per QALY", and ranges ("37,000-78,000").

    Raises
    ------
    InputError
        When the cell holds no number or more than one that is not a range.
    """
    if is_blank(text):
        return None
    problem = InputError(
        "cannot read this as a printed number", found=text, allowed="for example 45,871 or $61k or 8.97 or NA"
    )
    body = text.strip()
    bracketed = re.fullmatch(r"\((.*)\)", body)
    body = bracketed[1].strip() if bracketed else body
    matches = list(_ONE_NUMBER.finditer(body))
    between = re.sub(r"\s", "", body[matches[0].end() : matches[1].start()]) if len(matches) == 2 else ""
    try:
        if len(matches) == 1 and not any(ch.isdigit() for ch in body[: matches[0].start()] + body[matches[0].end() :]):
            value, low, high = _one(matches[0])
            if bracketed:
                value, low, high = -value, -high, -low
            bound = body[: matches[0].start()].strip()[:1]
            low = -math.inf if bound in {"<", "≤"} else low
            high = math.inf if bound in {">", "≥"} else high
        elif len(matches) == 2 and (between in {"to", "–", "—"} or (not between and matches[1]["sign"])):
            first, second = _one(matches[0]), _one(matches[1])
            if matches[1]["sign"] and not between:
                second = (-second[0], -second[2], -second[1])
            low, high = min(first[1], second[1]), max(first[2], second[2])
            value = 0.5 * (first[0] + second[0])
        else:
            raise problem
    except ValueError:
        raise problem from None
    if not math.isfinite(value):
        raise problem
    return PrintedNumber(text.strip(), value, low, high)
