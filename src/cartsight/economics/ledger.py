"""The cost ledger: one row per dated cost of a patient, and its totals.

A ledger is four equally long columns. Prices change amounts, never the flow of patients, so a ledger is built
after the simulation and totalled as often as needed.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.economics.discounting import DAYS_PER_YEAR, discount_factor

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


def exact_group_sums(groups: npt.ArrayLike, amounts: npt.ArrayLike, count: int) -> Float:
    """Return the sum of `amounts` per group, whatever the order of the rows, exact to the last digit or two.

    Each amount is cut into parts that are multiples of a common power of two and few enough bits long that
    their floating-point sums have no rounding at all (Rump, Ogita & Oishi 2008, doi:10.1137/050645671).
    Totals by patient, by category and by year then agree with each other, and threads may deliver rows in any
    order.

    Parameters
    ----------
    groups : array_like of int, shape (rows,)
        Group of each row, from 0 to `count` - 1.
    amounts : array_like, shape (rows,)
    count : int

    Returns
    -------
    array of float64, shape (count,)
    """
    index = np.asarray(groups, dtype=np.int64)
    rest = np.array(amounts, dtype=np.float64)
    if rest.size == 0:
        return np.zeros(count)
    parts: list[Float] = []
    for _ in range(3):
        largest = float(np.max(np.abs(rest)))
        if largest == 0.0:
            break
        anchor = math.ldexp(1.0, math.frexp(largest)[1] + rest.size.bit_length() + 1)
        high = (anchor + rest) - anchor
        parts.append(np.bincount(index, weights=high, minlength=count).astype(np.float64))
        rest = rest - high
    total = np.zeros(count)
    for part in reversed(parts):
        total = total + part
    return total


@dataclass(frozen=True, eq=False)
class CostLedger:
    """Dated costs of patients.

    Attributes
    ----------
    patient : array of int, shape (rows,)
        Patient of each row, from 0 to `patients` - 1.
    time_days : array of float, shape (rows,)
        Days after time zero (the patient's own clock, or the calendar of the run: the caller decides and says
        so).
    category : array of int, shape (rows,)
        Position in `categories`.
    amount : array of float, shape (rows,)
        Money, undiscounted; a refund is negative.
    categories : tuple of str
        Distinct names.
    patients : int
        Number of patients, including those without any row.
    """

    patient: Int
    time_days: Float
    category: Int
    amount: Float
    categories: tuple[str, ...]
    patients: int

    def __post_init__(self) -> None:
        for name, kind in (
            ("patient", np.int64),
            ("time_days", np.float64),
            ("category", np.int64),
            ("amount", np.float64),
        ):
            column = np.ascontiguousarray(getattr(self, name), dtype=kind)
            object.__setattr__(self, name, column)
            if column.ndim != 1 or column.shape != self.patient.shape:
                raise InputError("ledger columns differ in length", field=name, found=column.shape)
        if len(set(self.categories)) != len(self.categories):
            raise InputError("every category of a ledger needs its own name", field="categories")
        if self.patient.size:
            if self.patient.min() < 0 or self.patient.max() >= self.patients:
                raise InputError("a row names a patient outside the ledger", field="patient")
            if self.category.min() < 0 or self.category.max() >= len(self.categories):
                raise InputError("a row names a category outside the ledger", field="category")
            for name in ("time_days", "amount"):
                if not np.all(np.isfinite(getattr(self, name))):
                    raise InputError("a ledger holds only finite numbers", field=name)

    def __len__(self) -> int:
        return int(self.amount.size)

    def discounted(self, discount_rate: float, *, reference_day: float = 0.0) -> CostLedger:
        """Return the ledger with every amount valued at `reference_day` by (1 + r)^(-(t - t0) / 365.25).

        Rows before the reference day gain value.
        """
        years = (self.time_days - reference_day) / DAYS_PER_YEAR
        return CostLedger(
            self.patient,
            self.time_days,
            self.category,
            self.amount * discount_factor(years, discount_rate),
            self.categories,
            self.patients,
        )

    def total(self) -> float:
        """Return the sum of all amounts, correctly rounded."""
        return math.fsum(self.amount)

    def by_patient(self) -> Float:
        """Return the sum per patient, shape (patients,)."""
        return exact_group_sums(self.patient, self.amount, self.patients)

    def by_category(self) -> dict[str, float]:
        """Return the sum per category, in the order of `categories`; zero where a category has no row."""
        sums = exact_group_sums(self.category, self.amount, len(self.categories))
        return dict(zip(self.categories, sums.tolist(), strict=True))

    def by_patient_and_category(self) -> Float:
        """Return the sums of shape (patients, categories)."""
        width = len(self.categories)
        sums = exact_group_sums(self.patient * width + self.category, self.amount, self.patients * width)
        return sums.reshape(self.patients, width)

    def by_calendar_year(self, day_zero: dt.date) -> dict[int, float]:
        """Return the sum per calendar year when day 0 of the ledger is the date `day_zero`.

        Years between the first and the last row are all present. The dates are those of the Gregorian
        calendar, leap years included.
        """
        if not len(self):
            return {}
        dates = np.datetime64(day_zero) + np.floor(self.time_days).astype("timedelta64[D]")
        years = dates.astype("datetime64[Y]").astype(np.int64) + 1970
        first, last = int(years.min()), int(years.max())
        sums = exact_group_sums(years - first, self.amount, last - first + 1)
        return dict(zip(range(first, last + 1), sums.tolist(), strict=True))

    def by_year(self) -> Float:
        """Return the sum per year of 365.25 days after day 0; no row may lie before day 0."""
        if not len(self):
            return np.zeros(0)
        if self.time_days.min() < 0.0:
            raise InputError("years after day 0 need rows at or after day 0", field="time_days")
        years = np.floor(self.time_days / DAYS_PER_YEAR).astype(np.int64)
        return exact_group_sums(years, self.amount, int(years.max()) + 1)

    def select(self, categories: Iterable[str]) -> CostLedger:
        """Return the rows of the named categories; the list of categories and of patients stays.

        Raises
        ------
        InputError
            When a category is unknown.
        """
        wanted = []
        for name in categories:
            if name not in self.categories:
                raise InputError("unknown category", found=name, hint=nearest(name, self.categories))
            wanted.append(self.categories.index(name))
        keep = np.isin(self.category, wanted)
        return CostLedger(
            self.patient[keep],
            self.time_days[keep],
            self.category[keep],
            self.amount[keep],
            self.categories,
            self.patients,
        )


def join_ledgers(ledgers: Sequence[CostLedger]) -> CostLedger:
    """Return one ledger with the rows of several about the same patients; categories are matched by name.

    Raises
    ------
    InputError
        When there is no ledger or they count different numbers of patients.
    """
    if not ledgers:
        raise InputError("there is no ledger to join")
    patients = ledgers[0].patients
    if any(ledger.patients != patients for ledger in ledgers):
        raise InputError("these ledgers count different patients", found=[x.patients for x in ledgers])
    names = tuple(dict.fromkeys(name for ledger in ledgers for name in ledger.categories))
    codes = {name: code for code, name in enumerate(names)}
    return CostLedger(
        np.concatenate([ledger.patient for ledger in ledgers]),
        np.concatenate([ledger.time_days for ledger in ledgers]),
        np.concatenate(
            [
                np.asarray([codes[name] for name in ledger.categories], dtype=np.int64)[ledger.category]
                for ledger in ledgers
            ]
        ),
        np.concatenate([ledger.amount for ledger in ledgers]),
        names,
        patients,
    )
