"""The life tables shipped with the package, with their sources."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.life_tables.life_table import LifeTable

FOLDER = Path(__file__).parent
COMPLETE_FROM_AGE = 110
"""A table that goes on to this age needs no closing that matters."""


@lru_cache(maxsize=1)
def available_life_tables() -> tuple[tuple[str, int], ...]:
    """Return the (country, year) of every life table shipped."""
    return tuple((record["country"], int(record["year"])) for record in _sources())


@lru_cache(maxsize=8)
def life_table(country: str, year: int) -> LifeTable:
    """Return a shipped life table, for example ``life_table("us", 2019)``.

    Raises
    ------
    InputError
        No such table; the message names those that there are.
    """
    for record in _sources():
        if record["country"] == country and int(record["year"]) == year:
            citation = f"{record['citation']}. {record['address']}"
            female, male = (_published(country, year, sex, "death_probability") for sex in ("female", "male"))
            ends = [published_life_expectancy(country, year, sex) for sex in ("female", "male")]
            last = len(ends[0]) - 1
            end = (last, ends[0][last], ends[1][last]) if last < COMPLETE_FROM_AGE else None
            return LifeTable.from_death_probabilities(country, year, record["period"], citation, female, male, end)
    countries = sorted({name for name, _ in available_life_tables()})
    raise InputError(
        "no life table of this country and year",
        found=f"{country} {year}",
        allowed=", ".join(f"{name} {of}" for name, of in available_life_tables()),
        hint=None if country in countries else nearest(country, countries),
    )


def published_life_expectancy(country: str, year: int, sex: str) -> list[float]:
    """Return e(x) as published, one per year of age from 0: the check on a table, not its input."""
    return _published(country, year, sex, "life_expectancy")


def _sources() -> list[dict[str, str]]:
    with (FOLDER / "sources.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _published(country: str, year: int, sex: str, column: str) -> list[float]:
    values: list[float] = []
    with (FOLDER / "life_tables.csv").open(encoding="utf-8", newline="") as file:
        for record in csv.DictReader(file):
            if record["country"] == country and record["year"] == str(year) and record["sex"] == sex and record[column]:
                values.append(float(record[column]))
    return values
