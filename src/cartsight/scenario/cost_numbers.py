"""Numbers that only costs by activity and capital take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cartsight.core.units import DENOMINATORS
from cartsight.scenario.numbers import Money, Number


class Share(Number):
    """A share of something, not of patients."""

    target_unit = "fraction"
    minimum = 0.0
    maximum = 1.0


class InterestRate(Number):
    """Interest per year, as a fraction."""

    target_unit = "fraction"
    minimum = 0.0
    maximum = 1.0


class WorkHours(Number):
    """Hours of work."""

    target_unit = "hours"
    minimum = 0.0


class Area(Number):
    """An area, in square metres."""

    target_unit = "square_metres"
    minimum = 0.0


class MoneyPerDriver(Money):
    """Money per one of a cost driver, which the activity names and checks."""

    denominators: ClassVar[Mapping[str, float]] = dict.fromkeys(DENOMINATORS, 1.0)

    @property
    def stated_unit(self) -> str:
        """The unit that the amount was stated in, with what it is paid for."""
        row = self._row()
        return self.unit or (row.unit if row is not None else self._quantity.unit)


class MoneyPerHour(Money):
    """Money per hour of work."""

    denominators: ClassVar[Mapping[str, float]] = {"hour": 1.0}


class MoneyPerUnit(Money):
    """Money per piece of equipment."""

    denominators: ClassVar[Mapping[str, float]] = {"unit": 1.0}


class MoneyPerSquareMetre(Money):
    """Money per square metre."""

    denominators: ClassVar[Mapping[str, float]] = {"square_metre": 1.0}
