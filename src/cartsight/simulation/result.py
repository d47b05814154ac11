"""The outcome of a simulation: flat arrays, one row per patient and per lot, with accessors by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.simulation.tables import (
    BREAKDOWNS,
    BUSY,
    CAPACITY,
    CHANGEOVERS,
    DOWN,
    DRAIN,
    EXPIRED,
    ON_HAND,
    QUEUE,
    RECEIVED,
    SEIZES,
    SETUP,
    STOCK_OUT,
    TAKEN,
    WAITED,
    WAITING,
    WITHDRAWN,
)

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


def _column(name: str, names: Sequence[str], what: str) -> int:
    try:
        return list(names).index(name)
    except ValueError:
        raise InputError(
            f"unknown {what}", found=name, allowed=", ".join(list(names)[:8]) or "none", hint=nearest(name, names)
        ) from None


@dataclass(frozen=True, slots=True)
class Log:
    """Marks stored with ``log=True``, in order of time: entity number, code of the mark, day."""

    entity: npt.NDArray[np.int32]
    code: npt.NDArray[np.int16]
    time: Float
    names: tuple[str, ...]

    def of(self, name: str) -> tuple[npt.NDArray[np.int32], Float]:
        """Return (entity numbers, days) of one mark."""
        chosen = self.code == _column(name, self.names, "logged mark")
        return self.entity[chosen], self.time[chosen]

    def count(self, name: str, entities: int) -> npt.NDArray[np.int64]:
        """Return how often each of `entities` entities passed the mark."""
        return np.bincount(self.of(name)[0], minlength=entities)


@dataclass(frozen=True, slots=True)
class Entities:
    """What is kept of a set of entities; row i of every array is entity i.

    Attributes
    ----------
    start, end_time : array of float64, shape (n,)
        Days of arrival or start, and of the end.
    end_status : array of int16, shape (n,)
        Index into `statuses`.
    """

    start: Float
    end_time: Float
    end_status: npt.NDArray[np.int16]
    statuses: tuple[str, ...]
    attribute_values: Float
    attribute_names: tuple[str, ...]
    mark_values: Float
    mark_names: tuple[tuple[str, str], ...]
    log: Log

    def __len__(self) -> int:
        return self.start.size

    def ended(self, *statuses: str) -> Bool:
        """Return which entities ended with one of the given statuses."""
        codes = [_column(status, self.statuses, "end status") for status in statuses]
        return np.isin(self.end_status, codes)

    def count(self) -> dict[str, int]:
        """Return the number of entities by end status, zero counts left out."""
        counts = np.bincount(self.end_status, minlength=len(self.statuses))
        return {name: int(count) for name, count in zip(self.statuses, counts, strict=True) if count}

    def attribute(self, name: str) -> Float:
        """Return a column of attributes at the end, shape (n,)."""
        return self.attribute_values[:, _column(name, self.attribute_names, "attribute")]

    def mark(self, name: str, which: str | None = None) -> Float:
        """Return the day of a mark (NaN: never), shape (n,); `which` is "first" or "last" when both are kept."""
        names = [mark if which is None or kind == which else "" for mark, kind in self.mark_names]
        return self.mark_values[:, _column(name, names, "mark")]


@dataclass(frozen=True, slots=True)
class Lots(Entities):
    """Lots and children: also the stock (-2: a child), the number within it and the parent (-1: none).

    Initial stock has number -1 and the status "initial stock".
    """

    stock: npt.NDArray[np.int32]
    number: npt.NDArray[np.int32]
    parent: npt.NDArray[np.int32]
    stocks: tuple[str, ...]

    def of(self, stock: str) -> Bool:
        """Return which rows are lots of `stock`, initial stock included."""
        return np.asarray(self.stock == _column(stock, self.stocks, "stock"))


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """Use of one resource over a period: servers x days, except for the counts.

    `busy` is the time of servers held, `capacity` that of servers on duty, `drain` the part of `busy` beyond the
    capacity on duty (work that is finished after closing), `queue` the time of entities waiting. `setup` is the part of
    `busy` in changeovers, `changeovers` the number of changes from one product to another, `down` the time of servers
    broken down (on duty by the calendar or not), `breakdowns` their number.
    """

    busy: float
    queue: float
    seizes: float
    capacity: float
    drain: float
    setup: float = 0.0
    changeovers: float = 0.0
    down: float = 0.0
    breakdowns: float = 0.0

    @property
    def utilisation(self) -> float:
        """Share of the servers on duty, or still finishing, that were held."""
        present = self.capacity + self.drain
        return self.busy / present if present > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class StockUse:
    """Use of one stock over a period: doses, days without stock, patient-days of waiting, dose-days on hand.

    Doses received = taken + expired + withdrawn + on hand, less the initial stock.
    """

    received: float
    taken: float
    expired: float
    stock_out: float
    waiting: float
    waited: float
    on_hand: float
    withdrawn: float = 0.0


@dataclass(frozen=True, slots=True)
class Doses:
    """Which doses went to whom, in order of time; one row per taker and lot.

    Attributes
    ----------
    patient, taker_lot : array of int32
        Number of the patient, or -1 and the row in `lots` of the child or lot that took them.
    lot : array of int32
        Row in `lots` of the lot that the doses are from.
    doses : array of int32
    day : array of float64
    stock : array of int32
        Index into `stocks`.
    """

    patient: npt.NDArray[np.int32]
    taker_lot: npt.NDArray[np.int32]
    lot: npt.NDArray[np.int32]
    doses: npt.NDArray[np.int32]
    day: Float
    stock: npt.NDArray[np.int32]
    stocks: tuple[str, ...]

    def __len__(self) -> int:
        return self.lot.size

    def patients_of(self, *lots: int, until: float = math.inf) -> npt.NDArray[np.int32]:
        """Return the numbers of the patients who took doses of the given lots up to a day: the reach of a bad lot."""
        chosen = np.isin(self.lot, lots) & (self.patient >= 0) & (self.day <= until)
        return np.unique(self.patient[chosen])

    def lots_of(self, patient: int) -> npt.NDArray[np.int32]:
        """Return the lots of all doses of a patient."""
        return np.unique(self.lot[self.patient == patient])


@dataclass(frozen=True, slots=True)
class Batches:
    """What was put into stocks, one row per `Put` and initial batch; doses = taken + expired + withdrawn + on_hand.

    Attributes
    ----------
    lot, stock : array of int32
        Row in `lots`; index into `stocks`.
    day, expiry : array of float64
        Days of receipt and of expiry.
    doses, expired, withdrawn, on_hand : array of int32
        Doses received, lost at expiry, withdrawn, and left at the end of the run.
    removed_day : array of float64
        Day of expiry or withdrawal of what was left (NaN: neither).
    """

    lot: npt.NDArray[np.int32]
    stock: npt.NDArray[np.int32]
    day: Float
    doses: npt.NDArray[np.int32]
    expiry: Float
    expired: npt.NDArray[np.int32]
    withdrawn: npt.NDArray[np.int32]
    on_hand: npt.NDArray[np.int32]
    removed_day: Float
    stocks: tuple[str, ...]

    def __len__(self) -> int:
        return self.lot.size


@dataclass(frozen=True, slots=True)
class FlowResult:
    """One simulation: patients in the order of the arrivals, lots in the order of their start.

    Attributes
    ----------
    end : float
        Day of the last event; all patients and lots have ended then.
    events : int
        Steps and events interpreted.
    on_hand : dict
        Doses left in each stock at the end.
    doses, batches : Doses, Batches
        Who got doses of which lots, and what became of the rest.
    counters : dict
        Final values of each counter, shape (values,).
    """

    patients: Entities
    lots: Lots
    window: tuple[float, float]
    end: float
    events: int
    resource_statistics: Float
    resource_names: tuple[str, ...]
    stock_statistics: Float
    on_hand: dict[str, int]
    doses: Doses
    batches: Batches
    counters: dict[str, Float]

    def resource(self, name: str, *, window: bool = False) -> ResourceUse:
        """Return the use of a resource in total, or in the observation window."""
        row = self.resource_statistics[_column(name, self.resource_names, "resource")]
        w = int(window)
        columns = (BUSY, QUEUE, SEIZES, CAPACITY, DRAIN, SETUP, CHANGEOVERS, DOWN, BREAKDOWNS)
        return ResourceUse(*(float(row[i + w]) for i in columns))

    def on_hand_of(self, *lots: int, day: float) -> dict[str, int]:
        """Return the doses of the given lots that lay in each stock at the end of a day (time), zero counts left out."""
        left = dict.fromkeys(self.batches.stocks, 0)
        b, d = self.batches, self.doses
        here = np.isin(b.lot, lots) & (b.day <= day)
        gone = here & (b.removed_day <= day)
        taken = np.isin(d.lot, lots) & (d.day <= day)
        for i, name in enumerate(b.stocks):
            put = int(b.doses[here & (b.stock == i)].sum())
            lost = int((b.expired + b.withdrawn)[gone & (b.stock == i)].sum())
            left[name] = put - lost - int(d.doses[taken & (d.stock == i)].sum())
        return {name: doses for name, doses in left.items() if doses}

    def stock(self, name: str, *, window: bool = False) -> StockUse:
        """Return the use of a stock in total, or in the observation window."""
        row = self.stock_statistics[_column(name, tuple(self.on_hand), "stock")]
        w = int(window)
        columns = (RECEIVED, TAKEN, EXPIRED, STOCK_OUT, WAITING, WAITED, ON_HAND, WITHDRAWN)
        return StockUse(*(float(row[i + w]) for i in columns))
