"""Money between currencies and price years, only through cited index tables.

An amount is first moved to the target's price year *in its own currency*, with that currency's consumer
price index, and then exchanged at the target year's average rate:

    amount(target) = amount(source) * I_source(t) / I_source(s) * E_target(t) / E_source(t)

with I the price index of the source's currency, E the units of a currency per US dollar, s the price year of
the source and t that of the target (the order recommended by Turner et al. 2019,
doi:10.1016/j.jval.2019.03.021, for non-tradable resources such as care).

Within one currency, or within one year, conversions undo each other and chain. Across both at once they do
not: going there and back multiplies by the change of the real exchange rate between the two years. Convert
once, from the amount as published.

The tables and their sources are ``price_indices.csv`` and ``price_sources.csv`` beside this file.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.core.units import Unit, unit

Amount = TypeVar("Amount", float, npt.NDArray[np.float64])

DEFAULT_INDEX = {"usd": "cpi_u", "eur": "hicp"}
OTHER_INDEX = "cpi_world_bank"
EXCHANGE_SERIES = "fed_annual"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class IndexValue:
    """One cell of the index tables: the index or exchange rate of a year, its status and source."""

    value: float
    provisional: bool
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """How an amount moves from one money unit to another.

    Parameters
    ----------
    factor : float
        ``amount in target = factor * amount in source``.
    steps : tuple of str
        What was done, in order, with the figures used.
    citations : tuple of str
        The series that the factor rests on.
    provisional : bool
        Whether a figure of an incomplete year was used.
    """

    source: str
    target: str
    factor: float
    steps: tuple[str, ...]
    citations: tuple[str, ...]
    provisional: bool


def convert(amount: Amount, source: str, target: str, *, index: str | None = None) -> Amount:
    """Return `amount` of the money unit `source` in `target`, for example from ``usd_2019`` to ``usd_2024``.

    Parameters
    ----------
    amount : float or array
        Amounts in `source`.
    source, target : str
        Money units with the same denominator, for example ``eur_2020/dose`` and ``usd_2024/dose``.
    index : str, optional
        Price index of the source's currency; the default is the consumer price index. ``pce_health`` is the
        price index of health care for US dollars.

    Raises
    ------
    InputError
        Not money, different denominators, an unknown index, or a year that the tables lack; the message names
        the years that there are.
    """
    return amount * conversion(source, target, index=index).factor


def conversion(source: str, target: str, *, index: str | None = None) -> Conversion:
    """Return the factor from `source` to `target` with its steps and citations; see `convert`."""
    a, b = _money(source), _money(target)
    if a.per != b.per:
        raise InputError("amounts per different things do not convert", found=source, allowed=f"a unit like {target}")
    assert a.currency is not None and b.currency is not None and a.price_year is not None and b.price_year is not None
    used: list[IndexValue] = []
    steps: list[str] = []
    factor = 1.0
    if a.price_year != b.price_year:
        series = index or DEFAULT_INDEX.get(a.currency, OTHER_INDEX)
        start = _index_value(series, a.currency, a.price_year)
        end = _index_value(series, a.currency, b.price_year)
        factor *= end.value / start.value
        used += [start, end]
        steps.append(
            f"{a.currency} {a.price_year} to {a.currency} {b.price_year}: {series} {end.value:g} / {start.value:g}"
        )
    if a.currency != b.currency:
        per_dollar = _rate(a.currency, b.price_year)
        per_dollar_target = _rate(b.currency, b.price_year)
        factor *= per_dollar_target.value / per_dollar.value
        used += [rate for rate in (per_dollar, per_dollar_target) if rate.source]
        steps.append(
            f"{a.currency} to {b.currency} at the average rate of {b.price_year}: "
            f"{per_dollar_target.value:g} / {per_dollar.value:g}"
        )
    citations = tuple(dict.fromkeys(price_sources()[value.source] for value in used))
    return Conversion(source, target, factor, tuple(steps), citations, any(value.provisional for value in used))


def available_years(currency: str, index: str | None = None) -> range:
    """Return the years for which a currency has a price index.

    Raises
    ------
    InputError
        Unknown currency or index.
    """
    series = index or DEFAULT_INDEX.get(currency, OTHER_INDEX)
    years = _series(series, currency)
    return range(min(years), max(years) + 1)


@lru_cache(maxsize=1)
def price_sources() -> Mapping[str, str]:
    """Return the citation of each source of the index tables, by key."""
    with (_FOLDER / "price_sources.csv").open(encoding="utf-8", newline="") as file:
        return {record["key"]: f"{record['citation']}. {record['address']}" for record in csv.DictReader(file)}


@lru_cache(maxsize=1)
def _tables() -> dict[tuple[str, str], dict[int, IndexValue]]:
    tables: dict[tuple[str, str], dict[int, IndexValue]] = {}
    path = _FOLDER / "price_indices.csv"
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for record in reader:
            value = float(record["value"])
            if not (math.isfinite(value) and value > 0):
                raise InputError("an index must be positive", file=path, line=reader.line_num, found=record["value"])
            years = tables.setdefault((record["series"], record["currency"]), {})
            years[int(record["year"])] = IndexValue(
                value, record["status"] == "provisional", record["source"], record["note"]
            )
    return tables


def _money(name: str) -> Unit:
    money = unit(name)
    if not money.is_money:
        raise InputError("an amount of money is expected here", found=name, allowed="for example usd_2024")
    return money


def _series(series: str, currency: str) -> dict[int, IndexValue]:
    tables = _tables()
    if (series, currency) not in tables:
        offered = sorted(name for name, of in tables if of == currency and name != EXCHANGE_SERIES)
        raise InputError(
            f"no price index of this name for {currency}",
            found=series,
            allowed=", ".join(offered) or "none: the tables lack this currency",
            hint=nearest(series, offered),
        )
    return tables[(series, currency)]


def _index_value(series: str, currency: str, year: int) -> IndexValue:
    years = _series(series, currency)
    if year not in years:
        raise InputError(
            f"the price index {series} of {currency} lacks this year",
            found=year,
            allowed=f"{min(years)} to {max(years)}",
        )
    return years[year]


def _rate(currency: str, year: int) -> IndexValue:
    if currency == "usd":
        return IndexValue(1.0, False, "", "")
    years = _tables().get((EXCHANGE_SERIES, currency), {})
    if year not in years:
        allowed = f"{min(years)} to {max(years)}" if years else "none: the tables lack this currency"
        raise InputError(f"no exchange rate of {currency} for this year", found=year, allowed=allowed)
    return years[year]
