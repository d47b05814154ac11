"""Two-stage programmes by cuts: a master programme of the first stage, and one small linear programme per future.

L-shaped method (Van Slyke & Wets 1969, doi:10.1137/0117061) with one cut per future and round (Birge & Louveaux 1988,
doi:10.1016/0377-2217(88)90159-2). Two things make the bound rise faster than the plain method: cuts are first taken at the
optimum of the relaxed master, moved towards a point inside (which picks deep cuts among those that are tied, the idea of
Magnanti & Wong 1981, doi:10.1287/opre.29.3.464), and cuts that are slack when the search for whole designs starts are dropped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.planning.mixed_integer import MipModel

Float = npt.NDArray[np.float64]

RELAXED_ROUNDS = 80
MOVE_INSIDE = 0.5
"""Weight of the inner point in the point at which the relaxed master is cut."""
USED = 0.05
"""A group whose relaxed columns sum to less is left out of the first search."""
FIRST_SEARCHES = 8
TOLERANCE = 1e-6
"""Relative feasibility tolerance of the solver: cuts that are closer than this to the truth cannot be told from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The cost of one future at a decision x, and the bound  cost(x') >= intercept + slope . x'  for every x'.

    Attributes
    ----------
    cost : float
    slope : array, shape (decisions,)
    """

    cost: float
    slope: Float


@dataclass(slots=True, eq=False)
class TwoStage:
    """A two-stage programme: columns and rows of the first stage, and what the futures see of it.

    Attributes
    ----------
    model : MipModel
        First stage, with the columns in `outcome` in it.
    decision : array, shape (decisions, columns)
        The futures see ``decision @ columns``.
    outcome : list of list of int
        Columns that the cuts hold up: ``outcome[k][i]`` for quantity k in future i. Quantity 0 is the cost.
    recourse : callable
        ``recourse(i, x)`` returns one `Cut` per quantity.
    accept : callable, optional
        Whether a decision is allowed, given the quantities of every future, shape (quantities, futures).
    groups : list of list of int
        Columns that are zero together (the sizes of one plant): groups that the relaxed optimum leaves out are left out of the
        first search for whole decisions, which is a heuristic, not of the last one, which is the proof.
    """

    model: MipModel
    decision: Float
    outcome: list[list[int]]
    recourse: Callable[[int, Float], Sequence[Cut]]
    accept: Callable[[Float], bool] | None = None
    groups: Sequence[Sequence[int]] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CutsResult:
    """What the search found.

    Attributes
    ----------
    values : array, shape (columns,)
        The best first stage; empty when none was found in time.
    objective, bound, gap : float
        Of the programme; the gap is relative to the objective.
    relaxed_bound : float
        Bound before the search for whole decisions.
    rounds, cuts : int
    infeasible : bool
        No decision is allowed.
    seconds : float
    """

    values: Float
    objective: float
    bound: float
    gap: float
    relaxed_bound: float
    rounds: int
    cuts: int
    infeasible: bool
    seconds: float


class _Search:
    def __init__(self, programme: TwoStage, time_limit: float) -> None:
        self.programme, self.began, self.time_limit = programme, time.perf_counter(), time_limit
        self.futures = len(programme.outcome[0])
        self.outcome = np.array(programme.outcome)
        self.cost = np.asarray(programme.model.cost)
        self.first_cost = self.cost.copy()
        self.first_cost[self.outcome] = 0.0
        self.rows_before = len(programme.model.row_lower)
        # Per cut: columns, coefficients, right-hand side.
        self.pool: list[tuple[npt.NDArray[np.int32], Float, float]] = []
        self.objective, self.values = math.inf, np.empty(0)

    def left(self) -> float:
        return self.time_limit - (time.perf_counter() - self.began)

    def cuts_at(self, x: Float, live: Any = None) -> Float:
        """Cut every future at a decision; return the quantities, shape (quantities, futures)."""
        programme = self.programme
        quantities = np.zeros(self.outcome.shape)
        fresh = []
        for i in range(self.futures):
            for k, cut in enumerate(programme.recourse(i, x)):
                quantities[k, i] = cut.cost
                coefficients = -(cut.slope @ programme.decision)
                where = np.flatnonzero(np.abs(coefficients) > 1e-9 * max(1.0, abs(cut.cost)))
                columns = np.append(where, self.outcome[k, i]).astype(np.int32)
                fresh.append((columns, np.append(coefficients[where], 1.0), cut.cost - float(cut.slope @ x)))
        self.pool += fresh
        if live is not None:
            starts = np.cumsum([0, *(columns.size for columns, _, _ in fresh)])[:-1].astype(np.int32)
            live.addRows(
                len(fresh), np.array([low for *_, low in fresh]), np.full(len(fresh), np.inf),
                sum(columns.size for columns, _, _ in fresh), starts,
                np.concatenate([columns for columns, _, _ in fresh]), np.concatenate([values for _, values, _ in fresh]),
            )  # fmt: skip
        return quantities

    def visit(self, values: Float, live: Any = None) -> float:
        """Judge a whole first stage and cut at it; return its value."""
        quantities = self.cuts_at(self.programme.decision @ values, live)
        total = float(self.first_cost @ values + (self.cost[self.outcome] * quantities).sum())
        allowed = self.programme.accept is None or self.programme.accept(quantities)
        if allowed and total < self.objective:
            self.objective, self.values = total, values.copy()
            self.values[self.outcome] = quantities
        return total

    def relax(self, inner: Float, relative_gap: float, time_limit: float) -> tuple[float, Float]:
        """Cut the relaxed master until its bound rises no more; return bound and solution."""
        live = self.programme.model.loaded(relaxed=True)
        bound, values, stalled = -math.inf, np.empty(0), 0
        for _ in range(RELAXED_ROUNDS):
            live.run()
            if str(live.modelStatusToString(live.getModelStatus())).lower() != "optimal":
                break
            before, bound = bound, float(live.getInfo().objective_function_value)
            values = np.asarray(live.getSolution().col_value)
            little = bound - before <= relative_gap / 20.0 * abs(bound)
            stalled = stalled + 1 if little else 0
            if stalled >= 3 or self.left() < self.time_limit - time_limit:
                break
            x = self.programme.decision @ values
            # A point inside gives deep cuts; when they no longer move the bound, the optimum itself is cut.
            self.cuts_at(x if stalled else (1.0 - MOVE_INSIDE) * x + MOVE_INSIDE * inner, live)
            inner = 0.7 * inner + 0.3 * x
        return bound, values

    def keep_binding(self, values: Float) -> None:
        """Drop the cuts that are slack at the relaxed optimum."""
        kept = []
        for columns, coefficients, low in self.pool:
            if float(coefficients @ values[columns]) - low <= 1e-3 * max(1.0, abs(low)):
                kept.append((columns, coefficients, low))
        self.pool = kept

    def left_out(self, relaxed: Float) -> list[int]:
        """Return the columns of groups that neither the relaxed optimum nor the best decision uses."""
        columns = []
        for group in self.programme.groups:
            used = relaxed[list(group)].sum() + (self.values[list(group)].sum() if self.values.size else 0.0)
            if used < USED:
                columns += [c for c in group if self.programme.model.lower[c] == 0.0]
        return columns

    def with_cuts(self, done: int) -> int:
        """Write the cuts from number `done` on into the master; return their number."""
        for columns, coefficients, low in self.pool[done:]:
            self.programme.model.row(columns.tolist(), coefficients.tolist(), lower=low)
        return len(self.pool)


def solve_by_cuts(
    programme: TwoStage,
    *,
    starts: Sequence[Float],
    time_limit: float,
    relative_gap: float = 1e-3,
    relax_share: float = 0.4,
) -> CutsResult:
    """Return the best first stage, with a proven bound.

    Parameters
    ----------
    programme : TwoStage
        Its model is added to.
    starts : sequence of array, shape (columns,)
        First stages that start the search; the first is also the inner point of the first cuts. Outcome columns are ignored.
    time_limit : float
        Seconds; the gap says how far it got.
    relative_gap : float
        The search ends at this gap.
    relax_share : float
        Share of the time that the relaxed master may take.
    """
    search = _Search(programme, time_limit)
    for values in starts:
        search.visit(values)
    inner = programme.decision @ (search.values if search.values.size else starts[0])
    search.with_cuts(0)
    already = len(search.pool)
    bound, relaxed = search.relax(inner, relative_gap, relax_share * time_limit)
    relaxed_bound, rounds, infeasible = bound, 0, False
    started = search.pool[:already]
    search.pool = search.pool[already:]
    if relaxed.size:
        search.keep_binding(relaxed)
    written = search.with_cuts(0)
    if relaxed.size and (aside := search.left_out(relaxed)):
        model = programme.model
        until = search.left() / 2.0
        upper = [model.upper[column] for column in aside]
        for column in aside:
            model.upper[column] = 0.0
        for _ in range(FIRST_SEARCHES):
            if search.left() <= until:
                break
            master = model.solve(
                relative_gap=relative_gap, absolute_gap=1e-9 * max(1.0, abs(bound)), time_limit=(search.left() - until) / 2.0,
                start=search.values if search.values.size else None,
            )  # fmt: skip
            if not master.has_solution or master.bound >= search.objective - relative_gap * abs(search.objective):
                break
            rounds += 1
            search.visit(_rounded(model, master.values))
            written = search.with_cuts(written)
        for column, value in zip(aside, upper, strict=True):
            model.upper[column] = value
    exact = False
    while search.left() > 0:
        start = search.values if search.values.size else None
        gap_now = (search.objective - bound) / abs(search.objective) if math.isfinite(search.objective) else 1.0
        master = programme.model.solve(
            relative_gap=relative_gap / 4.0 if exact else max(relative_gap / 4.0, min(gap_now / 8.0, 0.01)), absolute_gap=1e-9 * max(1.0, abs(bound)),
            time_limit=search.left(), start=start,
        )  # fmt: skip
        if master.status == "infeasible":
            infeasible = True
            break
        if math.isfinite(master.bound):
            bound = max(bound, master.bound)
        if not master.has_solution or search.objective - bound <= relative_gap * abs(search.objective):
            break
        rounds += 1
        total = search.visit(_rounded(programme.model, master.values))
        written = search.with_cuts(written)
        known = total - master.objective <= TOLERANCE * abs(total)
        if search.objective - bound <= relative_gap * abs(search.objective) or (exact and known):
            break
        # The cuts already know the decision to the solver's tolerance: only a tighter search can raise the bound.
        exact = known
    gap = math.inf
    if search.values.size:
        gap = (
            max(search.objective - bound, 0.0) / max(abs(search.objective), 1e-12) if math.isfinite(bound) else math.inf
        )
    return CutsResult(
        search.values, search.objective, min(bound, search.objective), gap, relaxed_bound, rounds,
        len(started) + len(search.pool), infeasible, time.perf_counter() - search.began,
    )  # fmt: skip


def _rounded(model: MipModel, values: Float) -> Float:
    whole = np.asarray(model.integer)
    values = values.copy()
    values[whole] = np.rint(values[whole])
    return values
