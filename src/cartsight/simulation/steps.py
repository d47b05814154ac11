"""The steps of a program: what an entity does, in order, one frozen value per step.

A branch (`otherwise`, `to`, a key of `Switch.branches`) is the name of a `Label` or an `End`. Names of steps that
draw a random number address their stream, so they are stable names: renaming a step changes its draws, moving it
does not. A law is any `cartsight.core.distributions` value; where a law is asked for, a plain number is a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from cartsight.core.distributions import Distribution

Value: TypeAlias = "float | str | Distribution"
"""A number, the name of an attribute, or a law."""


@dataclass(frozen=True, slots=True)
class End:
    """Leave with an end status. Also a branch target."""

    status: str


Branch: TypeAlias = "str | End"


@dataclass(frozen=True, slots=True)
class Label:
    """A place to branch to; takes no time."""

    name: str


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait for a time in days drawn from `law`, times exp(sum of beta x attribute) over `log_effects`."""

    name: str
    law: Distribution | float
    log_effects: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chance:
    """Go on with a probability, else branch to `otherwise`.

    `logit_effects` add beta x attribute to the log odds of going on.
    """

    name: str
    probability: float
    otherwise: Branch
    logit_effects: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Switch:
    """Branch to one of several targets with the given probabilities, which sum to one."""

    name: str
    branches: Mapping[Branch, float]


@dataclass(frozen=True, slots=True)
class Seize:
    """Take one server from each of one to four groups or resources at once, waiting until all are free.

    `priority` is a class (0 is served first) or the name of an attribute; by default the entity's own class.
    `into` stores the number of the candidate chosen in the first group in an attribute. At most one of the groups may
    have a set-up; its changeover is drawn under `name` (by default ``seize`` and the groups). When a server breaks
    down, the step is cancelled, all that is held is given back, and the entity goes to `breakdown`.
    """

    groups: str | tuple[str, ...]
    priority: int | str | None = None
    into: str | None = None
    breakdown: Branch | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, init=False)
class Free:
    """Give back what was seized from the named groups, or everything held: ``Free("suite")``, ``Free()``."""

    groups: tuple[str, ...]

    def __init__(self, *groups: str) -> None:
        object.__setattr__(self, "groups", groups)


@dataclass(frozen=True, slots=True)
class Jump:
    """Branch always."""

    to: Branch


@dataclass(frozen=True, slots=True)
class Set:
    """Set an attribute to f(number, another attribute or a law), times `times` times exp(sum of beta x attribute).

    `function` f is "identity", "log", "exp", "floor" or "reciprocal". `name` addresses the draw when `value` is a law.
    """

    attribute: str
    value: Value
    times: float = 1.0
    log_effects: Mapping[str, float] = field(default_factory=dict)
    name: str | None = None
    function: str = "identity"


@dataclass(frozen=True, slots=True)
class Add:
    """Add to an attribute; arguments as in `Set`."""

    attribute: str
    value: Value
    times: float = 1.0
    log_effects: Mapping[str, float] = field(default_factory=dict)
    name: str | None = None
    function: str = "identity"


@dataclass(frozen=True, slots=True)
class Count:
    """Add `step` to a counter of the model and store f(its new value) x `times` in the attribute `into`.

    A counter declared with several values has one per value of the attribute `by`. A `step` of 0 only reads. With
    ``function="log"`` the attribute is what a learning curve by number made needs: a delay with
    ``log_effects={into: b}`` falls as (number made)^b.
    """

    counter: str
    into: str | None = None
    by: str | None = None
    step: float = 1.0
    times: float = 1.0
    function: str = "identity"


@dataclass(frozen=True, slots=True)
class Now:
    """Store f(day of the simulation) x `times` in an attribute: learning by calendar time, age of a process."""

    attribute: str
    times: float = 1.0
    function: str = "identity"


@dataclass(frozen=True, slots=True)
class Test:
    """Go on when ``attribute op value`` holds (value: number or attribute), else branch to `otherwise`."""

    __test__ = False  # not a pytest class

    attribute: str
    op: str
    value: float | str
    otherwise: Branch


@dataclass(frozen=True, slots=True)
class InState:
    """Go on when the health state is `state`, else branch to `otherwise`."""

    state: str
    otherwise: Branch


@dataclass(frozen=True, slots=True)
class Retry:
    """Branch to `to` at most `limit` times per entity, then branch to `otherwise`."""

    name: str
    limit: int
    to: Branch
    otherwise: Branch


@dataclass(frozen=True, slots=True)
class Mark:
    """Store the time: ``keep`` is "last", "first", "both" or "none" (columns); `log` also appends to the event log."""

    name: str
    keep: str = "last"
    log: bool = False


@dataclass(frozen=True, slots=True)
class Arm:
    """Start a clock of the model anew (a deadline, or a hazard with a new budget)."""

    clock: str


@dataclass(frozen=True, slots=True)
class Disarm:
    """Stop a clock."""

    clock: str


@dataclass(frozen=True, slots=True)
class Gate:
    """Wait until the calendar `gate` of the model is open (intake days, courier cut-off)."""

    gate: str


@dataclass(frozen=True, slots=True)
class Priority:
    """Set the entity's own priority class: a number or an attribute."""

    value: int | str


@dataclass(frozen=True, slots=True)
class State:
    """Set the health state; running hazards continue with the rates of the new state, without a new draw."""

    state: str


@dataclass(frozen=True, slots=True)
class Take:
    """Take doses from a stock, waiting while there are too few; first expiry, first out.

    `copy` maps attributes of the lot to attributes of the taker; `lot_into` is an attribute that receives the
    number of the lot (row in `result.lots`). When `stock` names depots of the model, one is chosen as the entity asks
    (see `Depots`), and `into` receives its number.
    """

    stock: str
    doses: int = 1
    copy: Mapping[str, str] = field(default_factory=dict)
    lot_into: str | None = None
    priority: int | str | None = None
    into: str | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Put doses of this lot into a stock, with a shelf life in days; both a number, an attribute or a law."""

    name: str
    stock: str
    doses: Value
    shelf_life: Value


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take out of a stock what is left of this lot (recall); `into` receives the number of doses withdrawn."""

    stock: str
    into: str | None = None


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a child entity in another program; `copy` maps attributes of the parent to attributes of the child."""

    name: str
    program: str
    copy: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Join:
    """Wait until every child has ended."""


Step: TypeAlias = (
    "End | Label | Delay | Chance | Switch | Seize | Free | Jump | Set | Add | Count | Now | Test | InState | Retry"
    " | Mark | Arm | Disarm | Gate | Priority | State | Take | Put | Withdraw | Spawn | Join"
)
