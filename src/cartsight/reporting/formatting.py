"""How numbers are written for people: one rule per unit, the same in the terminal, in sentences and in the report."""

from __future__ import annotations

import math

SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "inr": "₹"}
MISSING = "–"


def currency_symbol(unit: str) -> str:
    """Return the symbol of a unit of money, or its code and a space."""
    currency = unit.split("_", 1)[0]
    return SYMBOLS.get(currency, f"{currency.upper()} ")


def money(value: float | None, unit: str, *, digits: int = 3) -> str:
    """Return an amount to `digits` significant digits, for example ``$412,000`` or ``$1.23 million``."""
    if value is None or not math.isfinite(value):
        return MISSING
    symbol = currency_symbol(unit)
    sign = "−" if value < 0 else ""
    size = abs(value)
    rounded = significant(size, digits)
    if rounded >= 1e6:
        return f"{sign}{symbol}{rounded / 1e6:.{_decimals(rounded / 1e6, digits)}f} million"
    return f"{sign}{symbol}{rounded:,.0f}" if rounded >= 10 or rounded == 0 else f"{sign}{symbol}{rounded:.2f}"


def exact_money(value: float | None, unit: str) -> str:
    """Return an amount to the whole unit of money, for prices that somebody set."""
    if value is None or not math.isfinite(value):
        return MISSING
    sign = "−" if value < 0 else ""
    return f"{sign}{currency_symbol(unit)}{abs(value):,.0f}"


def thousands(value: float | None, unit: str) -> str:
    """Return an amount in thousands for narrow columns, for example ``$412k``."""
    if value is None or not math.isfinite(value):
        return MISSING
    symbol = currency_symbol(unit)
    sign = "−" if round(value) < 0 else ""
    size = abs(value)
    if size >= 999_500:
        return f"{sign}{symbol}{size / 1e6:.2f}m"
    if size >= 9_950:
        return f"{sign}{symbol}{size / 1e3:,.0f}k"
    return f"{sign}{symbol}{size / 1e3:.1f}k" if size >= 999.5 else f"{sign}{symbol}{size:.0f}"


def percent(value: float | None) -> str:
    """Return a share as a percentage, with a decimal below 10 %."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{100 * value:.1f}%".replace("-", "−") if abs(value) < 0.0995 and value != 0 else f"{100 * value:.0f}%"


def days(value: float | None) -> str:
    """Return a number of days, with a decimal below ten."""
    if value is None or not math.isfinite(value):
        return MISSING
    return (f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}").replace("-", "−")


def plain_number(value: float | None, decimals: int = 2) -> str:
    """Return a number with fixed decimals and a true minus sign."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) != 0 else text.replace("-", "")


def general(value: float | None) -> str:
    """Return a number to four significant digits, whatever its size."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    if size < 1e-4:
        return f"{value:.2e}".replace("-", "−")
    text = f"{value:.4g}"
    return text.replace("-", "−")


def show(value: float | None, unit: str, *, narrow: bool = False) -> str:
    """Return a value of a metric as its unit is usually read; `narrow` for terminal columns."""
    if value is None or not math.isfinite(value):
        return MISSING
    if unit in ("probability", "fraction"):
        return percent(value)
    if unit == "days":
        return days(value)
    if unit in ("qaly", "life_years"):
        return plain_number(value, 2)
    if unit == "months":
        return plain_number(value, 1)
    if is_money(unit):
        return thousands(value, unit) if narrow else money(value, unit)
    return general(value)


def interval(low: float | None, high: float | None, unit: str, *, narrow: bool = False) -> str:
    """Return an interval, for example ``21 to 34``; empty where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{show(low, unit, narrow=narrow)} to {show(high, unit, narrow=narrow)}"


def is_money(unit: str) -> bool:
    """Whether a unit is an amount of money such as ``usd_2024``."""
    head, _, year = unit.partition("_")
    return len(head) == 3 and len(year) >= 4 and year[:4].isdigit()


def money_words(unit: str) -> str:
    """Return a unit of money in words, for example ``2024 US dollars``."""
    head, _, year = unit.partition("_")
    names = {"usd": "US dollars", "eur": "euros", "gbp": "pounds sterling"}
    per = year[4:].replace("/", " per ").replace("_", " ")
    return f"{year[:4]} {names.get(head, head.upper())}{per}"


def significant(value: float, digits: int) -> float:
    """Return a number rounded to significant digits."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def _decimals(value: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0


def list_of(words: list[str]) -> str:
    """Return words joined as in a sentence."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
