"""What the reference interpreter keeps: entities, servers with a memory, batches of doses, and why a run stopped."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

RUNNING, DELAYED, QUEUEING, IN_STOCK_QUEUE, JOINING = "running", "delayed", "queueing", "in stock queue", "joining"


class Stopped(Exception):
    """The run cannot go on."""

    def __init__(self, outcome: int, culprit: int = -1, group: int = -1) -> None:
        self.outcome, self.culprit, self.group = outcome, culprit, group


@dataclass
class Unit:
    """One server that remembers its product, or breaks down."""

    resource: int
    number: int
    product: int
    run: int = 0
    state: str = "idle"
    taken: float = 0.0
    left: float = 0.0
    breaks: int = 0


@dataclass
class Entity:
    """One entity in the system."""

    row: int
    kind: int
    key: int
    pc: int
    attributes: list[float]
    origin: float
    state: int = 0
    own_class: int = 0
    class_now: int = 0
    mode: str = RUNNING
    version: int = 0
    step_time: float = math.inf
    ticket: int = 0
    # resource, group, since, unit, row of the seize
    held: list[tuple[int, int, float, Unit | None, int]] = field(default_factory=list)
    product: int = -1
    change: int = -1  # entry of the changeover matrix to be drawn
    changing: int = -1  # resource being changed over
    change_since: float = 0.0
    wanted: list[tuple[int, int]] = field(default_factory=list)
    waits_for: int = -1
    waits_since: float = 0.0
    budget: dict[int, float] = field(default_factory=dict)
    factor: dict[int, float] = field(default_factory=dict)
    due: dict[int, float] = field(default_factory=dict)
    hazard_time: float = 0.0
    counts: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    marks: dict[int, float] = field(default_factory=dict)
    parent: int = -1
    children: int = 0
    ordered: float = 0.0
    gone: bool = False

    @property
    def clock_time(self) -> float:
        """When the first clock fires, or the first server held breaks down."""
        return min(self.break_time, min(self.due.values(), default=math.inf))

    @property
    def break_time(self) -> float:
        """When the first server held breaks down."""
        return min((held[3].taken + held[3].left for held in self.held if held[3] is not None), default=math.inf)


@dataclass
class Batch:
    """Doses of one lot on hand."""

    lot: Entity | int
    left: int
    expiry: float
    number: int
    stock: int
    day: float
    doses: int
    expired: int = 0
    withdrawn: int = 0
    removed: float = math.nan
