"""Background mortality beside each patient of `cartsight survival fit`: from columns, or from a shipped life table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cartsight.evidence.survival.background import BackgroundRates
    from cartsight.evidence.survival.observations import SurvivalData
    from cartsight.evidence.survival.tables import Table

UNITS_PER_YEAR = {"years": 1.0, "months": 12.0, "weeks": 365.25 / 7.0, "days": 365.25}
WOMEN = ("female", "f", "woman", "1", "true", "yes")
MEN = ("male", "m", "man", "0", "false", "no")

Age = Annotated[str | None, typer.Option("--age", help="Column of ages in years at time 0, for --life-table.")]
Sex = Annotated[
    str | None, typer.Option("--sex", help="Column of the sex (female or male; 1 is a woman), for --life-table.")
]
LifeTableName = Annotated[
    str | None,
    typer.Option("--life-table", help="Shipped life table of the background mortality, for example us-2019."),
]
TimeUnit = Annotated[
    str | None,
    typer.Option("--time-unit", help="days, weeks, months or years (default: from the name of the time column)."),
]


@dataclass(frozen=True)
class TableBackground:
    """A shipped life table with the age and the sex of every row of a file."""

    hazard_per_year: npt.NDArray[np.float64]
    age_years: npt.NDArray[np.float64]
    units_per_year: float
    standardised_mortality_ratio: float
    citation: str

    def rates(self, data: SurvivalData, rows: Any) -> BackgroundRates:
        """Return the population mortality beside the patients of one group."""
        from cartsight.evidence.survival.background import background_rates

        return background_rates(
            data,
            self.age_years[rows],
            self.hazard_per_year[rows],
            units_per_year=self.units_per_year,
            standardised_mortality_ratio=self.standardised_mortality_ratio,
        )


def table_background(
    table: Table, name: str, age: str | None, sex: str | None, unit: str | None, time_column: str, smr: float
) -> TableBackground:
    """Return the background of a file, or refuse what is missing for it in one message."""
    import numpy as np

    from cartsight.core.errors import InputError, nearest
    from cartsight.evidence.life_tables import available_life_tables, life_table

    known = {f"{country}-{year}": (country, year) for country, year in available_life_tables()}
    if name not in known:
        raise InputError(
            "no such life table",
            field="--life-table",
            found=name,
            allowed=", ".join(known),
            hint=nearest(name, list(known)),
        )
    if age is None or sex is None:
        raise InputError("a life table needs the columns of age and sex", field="--age" if age is None else "--sex")
    words = [word for word in UNITS_PER_YEAR if word in time_column.lower()]
    stated = unit if unit is not None else (words[0] if len(words) == 1 else None)
    if stated not in UNITS_PER_YEAR:
        raise InputError(
            "the unit of time must be known beside a life table",
            field="--time-unit",
            found=unit if unit is not None else time_column,
            allowed=", ".join(UNITS_PER_YEAR),
        )
    ages = table.numbers(age)
    outside = np.flatnonzero((ages < 0.0) | (ages > 120.0))
    if outside.size:
        raise InputError(
            "an age is out of range",
            file=table.file,
            line=table.lines[outside[0]],
            field=age,
            found=float(ages[outside[0]]),
            allowed="0 to 120 years",
        )
    women = []
    for cell, line in zip(table.text(sex), table.lines, strict=True):
        word = cell.strip().lower()
        if word not in WOMEN + MEN:
            raise InputError(
                "unknown sex", file=table.file, line=line, field=sex, found=cell, allowed=", ".join((*WOMEN, *MEN))
            )
        women.append(word in WOMEN)
    life = life_table(*known[name])
    return TableBackground(life.hazard[np.where(women, 0, 1)], ages, UNITS_PER_YEAR[stated], smr, life.citation)
