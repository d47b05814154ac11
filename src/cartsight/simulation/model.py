"""The declarative model: attributes, resources, groups, stocks, clocks and programs, by name.

A `FlowModel` only records; `compile_model` checks it and turns it into tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cartsight.core.distributions import Distribution
from cartsight.core.errors import InputError
from cartsight.simulation.calendar import Calendar
from cartsight.simulation.steps import End, Step

Rates: TypeAlias = "float | Sequence[tuple[float, float]]"
"""A rate per day, or (day since arrival, rate from that day on) pairs, the first at day 0."""

RULES = ("fixed", "by_attribute", "shortest_queue", "first_free", "nearest")


@dataclass(frozen=True, slots=True)
class Goto:
    """What a clock does: cancel the step, give back all that is held, and go on at a label."""

    label: str


@dataclass(frozen=True, slots=True)
class SetState:
    """What a clock does: change the health state and leave the step running."""

    state: str


Action: TypeAlias = "End | Goto | SetState"


@dataclass(frozen=True, slots=True)
class Resource:
    """A pool of identical servers with one queue: first in, first out within priority classes."""

    name: str
    capacity: int
    calendar: Calendar | None


@dataclass(frozen=True, slots=True)
class Group:
    """A choice among resources, made when an entity asks.

    Rules: ``fixed`` (the first), ``by_attribute`` (candidate number = attribute, or `matrix` [attribute][0]),
    ``shortest_queue`` (fewest waiting and in service per server), ``first_free`` (first with a free server, else
    shortest_queue), ``nearest`` (candidates in the order of row `attribute` of `matrix`, the first with fewer than
    `overflow` waiting or a free server; if there is none, the first of the row).
    """

    name: str
    candidates: tuple[str, ...]
    rule: str
    attribute: str | None
    matrix: tuple[tuple[int, ...], ...] | None
    overflow: int


@dataclass(frozen=True, slots=True)
class Setup:
    """Servers that remember the product they last made, and what it takes to change; see `FlowModel.setup`."""

    attribute: str
    products: int
    changeover: tuple[tuple[Distribution | float, ...], ...]
    campaign: int
    first: tuple[Distribution | float, ...]
    initial: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Running time of a server to its breakdown, and the repair; see `FlowModel.breakdown`."""

    running_days: Distribution | float
    repair_days: Distribution | float


@dataclass(frozen=True, slots=True)
class Depots:
    """A choice among stocks, made when an entity asks; see `FlowModel.depots`."""

    name: str
    stocks: tuple[str, ...]
    attribute: str
    matrix: tuple[tuple[int, ...], ...] | None


@dataclass(frozen=True, slots=True)
class Stock:
    """Doses on hand in batches, first expiry first out, refilled by lots under continuous review."""

    name: str
    initial: tuple[tuple[int, float], ...]
    reorder_point: float | None
    order_up_to: float | None
    order_quantity: float | None
    lot_program: str | None
    doses_per_lot: float
    review_until: float


@dataclass(frozen=True, slots=True)
class Clock:
    """A competing clock: a hazard by state and time since arrival, or a deadline armed by a step."""

    name: str
    on_fire: Action
    hazard_per_day: Rates | Mapping[str, Rates] | None
    law: Distribution | float | None
    log_effects: Mapping[str, float]
    armed: bool


@dataclass(slots=True)
class FlowModel:
    """A flow of entities through resources, stocks and clocks.

    Times are days from the start of the simulation. Arriving entities follow programs with ``entity="patient"``;
    lots and children follow programs with ``entity="lot"`` and have their own attributes and marks.
    """

    name: str
    attributes: dict[str, float] = field(default_factory=dict)
    lot_attributes: dict[str, float] = field(default_factory=dict)
    states: tuple[str, ...] = ("alive",)
    resources: dict[str, Resource] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    setups: dict[str, Setup] = field(default_factory=dict)
    breakdowns: dict[str, Breakdown] = field(default_factory=dict)
    stocks: dict[str, Stock] = field(default_factory=dict)
    depot_groups: dict[str, Depots] = field(default_factory=dict)
    counters: dict[str, tuple[int, float]] = field(default_factory=dict)
    clocks: dict[str, Clock] = field(default_factory=dict)
    gates: dict[str, Calendar] = field(default_factory=dict)
    programs: dict[str, tuple[Step, ...]] = field(default_factory=dict)
    entities: dict[str, str] = field(default_factory=dict)

    def attribute(self, name: str, default: float = 0.0, *, entity: str = "patient") -> None:
        """Declare a float column of patients, or of lots and children (``entity="lot"``)."""
        table = self.attributes if _entity(entity) == "patient" else self.lot_attributes
        if name in table:
            raise InputError("an attribute with this name exists", field="attribute", found=name)
        table[name] = default

    def health_states(self, *names: str) -> None:
        """Declare the health states; entities start in the first unless the arrivals say otherwise."""
        if not names or len(set(names)) != len(names):
            raise InputError("health states need distinct names", field="states", found=names)
        self.states = names

    def resource(self, name: str, capacity: int, *, calendar: Calendar | None = None) -> None:
        """Declare a pool of `capacity` servers. It is also a group of one, by its own name."""
        self._new(name)
        if capacity != int(capacity) or capacity < 0 or (capacity == 0 and (calendar is None or not calendar.changes)):
            raise InputError("the capacity must be a whole number above zero", field=f"resource.{name}", found=capacity)
        self.resources[name] = Resource(name, int(capacity), calendar)

    def group(
        self,
        name: str,
        candidates: Sequence[str],
        *,
        rule: str = "fixed",
        attribute: str | None = None,
        matrix: Sequence[Sequence[int]] | None = None,
        overflow: int = 1,
    ) -> None:
        """Declare a choice among resources; see `Group` for the rules."""
        self._new(name)
        rows = None if matrix is None else tuple(tuple(int(i) for i in row) for row in matrix)
        self.groups[name] = Group(name, tuple(candidates), rule, attribute, rows, overflow)

    def setup(
        self,
        resource: str,
        *,
        attribute: str,
        products: int,
        changeover: Sequence[Sequence[Distribution | float]],
        campaign: int = 1,
        first: Sequence[Distribution | float] | None = None,
        initial: int | Sequence[int] | None = None,
    ) -> None:
        """Let the servers of a resource remember the product they last made.

        Who seizes the resource gets, of the free servers, one that last made its product, else the one with the
        smallest mean changeover (the first of equals), and holds it through the changeover before the step goes on.

        Parameters
        ----------
        resource : str
            A resource, declared before.
        attribute : str
            Product number from 0 of who seizes: an attribute of patients, of lots, or of both.
        products : int
            Number of products.
        changeover : matrix of laws or numbers, shape (products, products)
            Days from the product of the row to that of the column. The diagonal is a clean-down between runs of one
            product.
        campaign : int
            Longest run of one product that may go past the queue: a server that falls free takes, in the best
            priority class that waits, the next of the product it last made, until this many in a row were made; then
            the first in line. 1 serves in order.
        first : sequence of laws or numbers, shape (products,), optional
            Days for the first product of a server that has made none; zero by default.
        initial : int or sequence of int, optional
            Product of all servers, or of each, at the start (-1: none); none by default.
        """
        where = f"setup.{resource}"
        if resource in self.setups:
            raise InputError("this resource has a set-up", field=where, found=resource)
        if products != int(products) or products < 1:
            raise InputError("the number of products must be a whole number from 1", field=where, found=products)
        if campaign != int(campaign) or campaign < 1:
            raise InputError("a campaign must be a whole number of runs from 1", field=where, found=campaign)
        rows = tuple(tuple(row) for row in changeover)
        if len(rows) != products or any(len(row) != products for row in rows):
            raise InputError(
                "the changeover matrix needs a row and a column for each product",
                field=where,
                found=[len(row) for row in rows],
                allowed=f"{products} rows of {products}",
            )
        start = tuple(first) if first is not None else (0.0,) * int(products)
        if len(start) != products:
            raise InputError("`first` needs one entry for each product", field=where, found=len(start))
        made = (-1,) if initial is None else (initial,) if isinstance(initial, int) else tuple(initial)
        if not made or not all(p == int(p) and -1 <= p < products for p in made):
            raise InputError(
                "the initial product of a server is -1 (none) or the number of a product", field=where, found=made
            )
        self.setups[resource] = Setup(attribute, int(products), rows, int(campaign), start, made)

    def breakdown(
        self, resource: str, *, running_days: Distribution | float, repair_days: Distribution | float
    ) -> None:
        """Let each server of a resource break down after a time of running, and be repaired.

        A server runs while it is held. Its time to the next breakdown goes on from run to run and is drawn anew after
        each repair (as good as new). A breakdown ends the run: see `Seize.breakdown`. With an exponential law this is
        the same as an independent hazard on every run. Draws are keyed by resource and server, not by patient or lot.

        Parameters
        ----------
        resource : str
            A resource, declared before.
        running_days : law or float
            Days of running to a breakdown.
        repair_days : law or float
            Days out of service; other servers go on.
        """
        if resource in self.breakdowns:
            raise InputError("this resource has breakdowns", field=f"breakdown.{resource}", found=resource)
        self.breakdowns[resource] = Breakdown(running_days, repair_days)

    def depots(
        self, name: str, stocks: Sequence[str], *, attribute: str, matrix: Sequence[Sequence[int]] | None = None
    ) -> None:
        """Declare a choice among stocks, by name for `Take` and `Put`.

        Without a matrix the attribute is the number of the stock. With one, its row lists stocks in order of
        preference: a `Take` goes to the first that has enough doses and nobody waiting, and if there is none waits at
        the first of the row; a `Put` goes to the first of the row.

        Parameters
        ----------
        name : str
            Another name than those of the stocks.
        stocks : sequence of str
            Names of stocks.
        attribute : str
            Number of the stock, or of the row of the matrix, from 0: an attribute of patients, lots, or both.
        matrix : sequence of rows of equal length, optional
            Numbers within `stocks`.
        """
        if name in self.depot_groups or name in self.stocks:
            raise InputError("a stock or depots with this name exist", field="depots", found=name)
        rows = None if matrix is None else tuple(tuple(int(i) for i in row) for row in matrix)
        self.depot_groups[name] = Depots(name, tuple(stocks), attribute, rows)

    def counter(self, name: str, *, values: int = 1, start: float = 0.0) -> None:
        """Declare a counter for `Count`, or `values` of them, one per value of an attribute."""
        if name in self.counters:
            raise InputError("a counter with this name exists", field="counter", found=name)
        if values != int(values) or values < 1:
            raise InputError("a counter needs a whole number of values from 1", field=f"counter.{name}", found=values)
        self.counters[name] = (int(values), float(start))

    def stock(
        self,
        name: str,
        *,
        initial: Sequence[tuple[int, float]] = (),
        reorder_point: float | None = None,
        order_up_to: float | None = None,
        order_quantity: float | None = None,
        lot_program: str | None = None,
        doses_per_lot: float = 1.0,
        review_until: float = float("inf"),
    ) -> None:
        """Declare a stock of doses.

        Parameters
        ----------
        initial : sequence of (doses, shelf life left in days)
            Batches on hand at the start.
        reorder_point, order_up_to, order_quantity : float, optional
            Continuous review of the inventory position (on hand + expected from lots in progress - waiting): at or
            below `reorder_point`, (s, S) starts enough lots to reach `order_up_to`; (s, Q) starts lots for
            `order_quantity` doses, repeatedly until the position is above `reorder_point`.
        lot_program : str, optional
            Program that each lot follows; it should `Put` into this stock.
        doses_per_lot : float
            Doses expected from a lot, for the inventory position only.
        review_until : float
            From this day on lots start only for patients who wait.
        """
        if name in self.stocks or name in self.depot_groups:
            raise InputError("a stock or depots with this name exist", field="stock", found=name)
        self.stocks[name] = Stock(
            name,
            tuple((int(doses), float(life)) for doses, life in initial),
            reorder_point,
            order_up_to,
            order_quantity,
            lot_program,
            float(doses_per_lot),
            float(review_until),
        )

    def clock(
        self,
        name: str,
        on_fire: Action,
        *,
        hazard_per_day: Rates | Mapping[str, Rates] | None = None,
        law: Distribution | float | None = None,
        log_effects: Mapping[str, float] | None = None,
        armed: bool | None = None,
    ) -> None:
        """Declare a clock: a hazard (armed at arrival by default) or a deadline `law` (armed by a step).

        A hazard fires when the integral of its rate, by state and time since arrival and times
        exp(sum of beta x attribute), reaches a unit exponential draw: a change of state or attribute rescales
        what is left, without a new draw. After `SetState` a hazard is armed again with a new draw.
        """
        if name in self.clocks:
            raise InputError("a clock with this name exists", field="clock", found=name)
        if (hazard_per_day is None) == (law is None):
            raise InputError("a clock needs either hazard_per_day or law", field=f"clock.{name}")
        start = hazard_per_day is not None if armed is None else armed
        self.clocks[name] = Clock(name, on_fire, hazard_per_day, law, dict(log_effects or {}), start)

    def gate(self, name: str, calendar: Calendar) -> None:
        """Declare a time window to wait for."""
        if name in self.gates:
            raise InputError("a gate with this name exists", field="gate", found=name)
        self.gates[name] = calendar

    def program(self, name: str, steps: Sequence[Step], *, entity: str = "patient") -> None:
        """Declare the steps of a kind of entity: "patient" (arrives) or "lot" (started by a stock or a `Spawn`)."""
        if name in self.programs:
            raise InputError("a program with this name exists", field="program", found=name)
        self.programs[name] = tuple(steps)
        self.entities[name] = _entity(entity)

    def _new(self, name: str) -> None:
        if name in self.resources or name in self.groups:
            raise InputError("a resource or group with this name exists", field="resource", found=name)


def _entity(entity: str) -> str:
    if entity not in ("patient", "lot"):
        raise InputError("unknown kind of entity", field="entity", found=entity, allowed="'patient' or 'lot'")
    return entity
