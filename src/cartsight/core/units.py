"""The closed list of units. A quantity without a unit from this list does not exist.

A unit is a short string. Money units are built as ``<currency>_<price year>`` (``usd_2024``), because an amount
without its price year is not comparable. Any unit may be taken per one of `DENOMINATORS`: ``usd_2024/dose``.
Rates (``per_year``), probabilities and fractions are different dimensions on purpose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cartsight.core.errors import InputError, nearest

DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = DAYS_PER_YEAR / 12.0

# name -> (dimension, factor to the first unit of the dimension)
BASE_UNITS: dict[str, tuple[str, float]] = {
    "days": ("time", 1.0),
    "seconds": ("time", 1.0 / 86_400.0),
    "minutes": ("time", 1.0 / 1_440.0),
    "hours": ("time", 1.0 / 24.0),
    "weeks": ("time", 7.0),
    "months": ("time", DAYS_PER_MONTH),
    "years": ("time", DAYS_PER_YEAR),
    "working_days": ("working_time", 1.0),
    "calendar_date": ("calendar_date", 1.0),
    "per_day": ("rate", 1.0),
    "per_week": ("rate", 1.0 / 7.0),
    "per_month": ("rate", 1.0 / DAYS_PER_MONTH),
    "per_year": ("rate", 1.0 / DAYS_PER_YEAR),
    "probability": ("probability", 1.0),
    "fraction": ("fraction", 1.0),
    "percent": ("fraction", 0.01),
    "percentage_points": ("fraction_difference", 0.01),
    "ratio": ("ratio", 1.0),
    "fold": ("ratio", 1.0),
    "hazard_ratio": ("hazard_ratio", 1.0),
    "odds_ratio": ("odds_ratio", 1.0),
    "log_odds": ("log_odds", 1.0),
    "log_scale": ("log_scale", 1.0),
    "coefficient_of_variation": ("coefficient_of_variation", 1.0),
    "coefficient_of_variation_percent": ("coefficient_of_variation", 0.01),
    "correlation": ("correlation", 1.0),
    "p_value": ("p_value", 1.0),
    "count": ("count", 1.0),
    "million": ("count", 1e6),
    "per_100000": ("proportion", 1e-5),
    "per_million": ("proportion", 1e-6),
    "per_100000_per_year": ("incidence", 1e-5),
    "life_years": ("life_years", 1.0),
    "qaly": ("qaly", 1.0),
    "utility": ("utility", 1.0),
    "kilometres": ("distance", 1.0),
    "miles": ("distance", 1.609344),
    "square_metres": ("area", 1.0),
    "square_feet": ("area", 0.09290304),
    "millilitres": ("volume", 1.0),
    "litres": ("volume", 1000.0),
    "cells": ("cells", 1.0),
    "cells_per_kg": ("cells_per_kg", 1.0),
    "cells_per_microlitre": ("cell_concentration", 1.0),
    "copies_per_cell": ("copies_per_cell", 1.0),
    "copies_per_microgram": ("copies_per_microgram", 1.0),
    "transducing_units": ("transducing_units", 1.0),
    "transducing_units_per_cell": ("multiplicity_of_infection", 1.0),
    "transducing_units_per_millilitre": ("titre", 1.0),
    "molecules_per_cell": ("molecules_per_cell", 1.0),
    "per_cell_per_day": ("rate_per_cell", 1.0),
    "normalised_expression": ("normalised_expression", 1.0),
    "picograms_per_millilitre": ("mass_concentration", 1.0),
    "endotoxin_units_per_millilitre": ("endotoxin_concentration", 1.0),
    "endotoxin_units_per_kg_per_hour": ("endotoxin_dose_rate", 1.0),
    "picofarads_per_centimetre": ("permittivity", 1.0),
    "milligrams": ("mass", 1.0),
    "milligrams_per_kg": ("mass_per_kg", 1.0),
    "degrees_celsius": ("temperature", 1.0),
    "score": ("score", 1.0),
    "flag": ("flag", 1.0),
    "text": ("text", 1.0),
}

CURRENCIES = ("usd", "eur", "gbp", "jpy", "cny", "inr", "sgd", "chf", "cad", "aud", "brl", "krw", "sek", "dkk")

DENOMINATORS = (
    "day",
    "week",
    "month",
    "year",
    "hour",
    "patient",
    "patient_year",
    "dose",
    "batch",
    "lot",
    "vial",
    "visit",
    "shipment",
    "therapy",
    "line",
    "line_day",
    "site",
    "site_year",
    "person",
    "unit",
    "square_metre",
    "km",
    "qaly",
    "life_year",
)

_MONEY = re.compile(rf"^({'|'.join(CURRENCIES)})_(\d{{4}})$")
MONEY_YEARS = range(1990, 2036)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit from the closed list: its name, dimension and factor to the base unit of that dimension."""

    name: str
    dimension: str
    factor: float
    currency: str | None = None
    price_year: int | None = None
    per: str | None = None

    @property
    def is_money(self) -> bool:
        """Whether the unit is an amount of money (with or without a denominator)."""
        return self.currency is not None

    def __str__(self) -> str:
        return self.name


def unit(name: str) -> Unit:
    """Return the unit called `name`.

    Raises
    ------
    InputError
        The name is not in the closed list; the message gives the nearest name.
    """
    base, _, per = name.partition("/")
    if per and per not in DENOMINATORS:
        raise InputError(
            "unknown denominator of a unit",
            found=name,
            allowed="/" + ", /".join(DENOMINATORS),
            hint=nearest(per, DENOMINATORS),
        )
    suffix = f"/{per}" if per else ""
    money = _MONEY.match(base)
    if money:
        currency, year = money.group(1), int(money.group(2))
        if year not in MONEY_YEARS:
            raise InputError(
                "price year out of range", found=name, allowed=f"{MONEY_YEARS.start} to {MONEY_YEARS.stop - 1}"
            )
        return Unit(name, f"money{suffix}", 1.0, currency, year, per or None)
    if base not in BASE_UNITS:
        if base in CURRENCIES:
            raise InputError("money needs a price year", found=name, allowed=f"for example {base}_2024{suffix}")
        raise InputError(
            "unknown unit",
            found=name,
            allowed="one of the units in `cartsight units`, or <currency>_<price year>",
            hint=nearest(base, [*BASE_UNITS, *(f"{c}_2024" for c in CURRENCIES)]),
        )
    dimension, factor = BASE_UNITS[base]
    return Unit(name, f"{dimension}{suffix}", factor, None, None, per or None)


# A published fraction may serve as a probability of the step it describes; never the other way round for rates.
_SAME_SCALE = {frozenset({"fraction", "probability"})}


def conversion_factor(source: str, target: str) -> float:
    """Return f with ``value_in_target = f * value_in_source``.

    Raises
    ------
    InputError
        The dimensions differ, or money would need an index table (use `cartsight.core.money`).
    """
    a, b = unit(source), unit(target)
    if a.is_money and b.is_money and a.per == b.per:
        if a.currency == b.currency and a.price_year == b.price_year:
            return 1.0
        raise InputError("money converts only through the price index tables", found=source, allowed=target)
    if a.dimension != b.dimension and frozenset({a.dimension, b.dimension}) not in _SAME_SCALE:
        raise InputError(f"a value in {source} cannot be used where {target} is expected", found=source, allowed=target)
    return a.factor / b.factor
