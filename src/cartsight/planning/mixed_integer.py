"""A mixed-integer linear programme in rows and columns, solved by HiGHS, with the optimality gap always stated.

HiGHS: Huangfu & Hall 2018, doi:10.1007/s12532-017-0130-5.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

INFINITY = math.inf


@dataclass(frozen=True, slots=True)
class MipResult:
    """What the solver returned.

    Attributes
    ----------
    status : str
        "optimal", "infeasible", "time limit" or another status in the solver's words.
    objective, bound : float
        Value of the best solution and the proven lower bound; NaN without a solution.
    gap : float
        (objective - bound) / |objective|; zero when both are zero, infinite without a solution.
    values : array, shape (columns,)
        Empty without a solution.
    row_duals : array, shape (rows,)
        Duals of the rows, for linear programmes; empty otherwise.
    nodes : int
        Branch-and-bound nodes.
    seconds : float
        Wall-clock time in the solver.
    """

    status: str
    objective: float
    bound: float
    gap: float
    values: Float
    row_duals: Float
    nodes: int
    seconds: float

    @property
    def has_solution(self) -> bool:
        """Whether a feasible solution was found."""
        return self.values.size > 0


@dataclass(slots=True)
class MipModel:
    """A minimisation, built column by column and row by row."""

    cost: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    integer: list[bool] = field(default_factory=list)
    row_lower: list[float] = field(default_factory=list)
    row_upper: list[float] = field(default_factory=list)
    row_starts: list[int] = field(default_factory=lambda: [0])
    row_columns: list[int] = field(default_factory=list)
    row_values: list[float] = field(default_factory=list)

    def column(self, cost: float = 0.0, lower: float = 0.0, upper: float = INFINITY, *, integer: bool = False) -> int:
        """Add a column and return its number."""
        self.cost.append(float(cost))
        self.lower.append(float(lower))
        self.upper.append(float(upper))
        self.integer.append(integer)
        return len(self.cost) - 1

    def row(
        self,
        columns: Sequence[int],
        values: Sequence[float],
        *,
        lower: float = -INFINITY,
        upper: float = INFINITY,
    ) -> int:
        """Add a row ``lower <= sum(values x columns) <= upper`` and return its number."""
        self.row_columns.extend(columns)
        self.row_values.extend(values)
        self.row_starts.append(len(self.row_columns))
        self.row_lower.append(float(lower))
        self.row_upper.append(float(upper))
        return len(self.row_lower) - 1

    def solve(
        self,
        *,
        relative_gap: float = 1e-9,
        absolute_gap: float = 1e-3,
        time_limit: float = INFINITY,
        threads: int = 0,
        seed: int = 0,
        relaxed: bool = False,
        start: Float | None = None,
    ) -> MipResult:
        """Minimise.

        Parameters
        ----------
        relative_gap, absolute_gap : float
            The search ends as soon as either is reached.
        time_limit : float
            In seconds.
        threads : int
            0: what HiGHS chooses.
        seed : int
            Seed of the solver's own tie breaking.
        relaxed : bool
            Drop integrality: the linear relaxation, with duals.
        start : array, shape (columns,), optional
            A first solution; NaN where unknown.
        """
        highs = self.loaded(relaxed)
        for name, value in (
            ("mip_rel_gap", relative_gap),
            ("mip_abs_gap", absolute_gap),
            ("random_seed", seed),
            ("threads", threads),
        ):
            highs.setOptionValue(name, value)
        if math.isfinite(time_limit):
            highs.setOptionValue("time_limit", float(max(time_limit, 0.1)))
        if start is not None:
            known = np.flatnonzero(~np.isnan(start)).astype(np.int32)
            highs.setSolution(known.size, known, start[known].astype(np.float64))
        began = time.perf_counter()
        highs.run()
        seconds = time.perf_counter() - began
        return self._result(highs, seconds, relaxed or not any(self.integer))

    def loaded(self, relaxed: bool) -> Any:
        """Return a HiGHS object that holds the programme, for callers that change and solve it many times."""
        import highspy

        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        lp = highspy.HighsLp()
        lp.num_col_ = len(self.cost)
        lp.num_row_ = len(self.row_lower)
        lp.col_cost_ = np.asarray(self.cost)
        lp.col_lower_ = np.asarray(self.lower)
        lp.col_upper_ = np.asarray(self.upper)
        lp.row_lower_ = np.asarray(self.row_lower)
        lp.row_upper_ = np.asarray(self.row_upper)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.num_col_ = lp.num_col_
        lp.a_matrix_.num_row_ = lp.num_row_
        lp.a_matrix_.start_ = np.asarray(self.row_starts, dtype=np.int32)
        lp.a_matrix_.index_ = np.asarray(self.row_columns, dtype=np.int32)
        lp.a_matrix_.value_ = np.asarray(self.row_values)
        if any(self.integer) and not relaxed:
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[flag] for flag in self.integer]
        highs.passModel(lp)
        return highs

    def _result(self, highs: Any, seconds: float, linear: bool) -> MipResult:
        import highspy

        status = highs.getModelStatus()
        info = highs.getInfo()
        names = {
            highspy.HighsModelStatus.kOptimal: "optimal",
            highspy.HighsModelStatus.kInfeasible: "infeasible",
            highspy.HighsModelStatus.kUnboundedOrInfeasible: "infeasible",
            highspy.HighsModelStatus.kTimeLimit: "time limit",
        }
        word = names.get(status, str(highs.modelStatusToString(status)).lower())
        feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        if not feasible:
            bound = math.nan if linear else float(info.mip_dual_bound)
            return MipResult(word, math.nan, bound, math.inf, np.empty(0), np.empty(0), 0, seconds)
        solution = highs.getSolution()
        objective = float(info.objective_function_value)
        bound = objective if linear else float(info.mip_dual_bound)
        gap = 0.0 if objective == bound else max(objective - bound, 0.0) / max(abs(objective), 1e-12)
        duals = np.asarray(solution.row_dual) if linear else np.empty(0)
        nodes = 0 if linear else int(info.mip_node_count)
        return MipResult(word, objective, bound, gap, np.asarray(solution.col_value), duals, nodes, seconds)
