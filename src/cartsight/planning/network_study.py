"""The pieces of a network study: how it is run, what it compares and what it found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from cartsight.core.errors import InputError
from cartsight.planning.demand_scenarios import DAYS_PER_QUARTER, Uncertainties
from cartsight.planning.network_inputs import NetworkProblem
from cartsight.planning.proof import Proof
from cartsight.planning.recourse import RecourseCosts
from cartsight.planning.screening import NetworkDesign
from cartsight.planning.stochastic import DesignEvaluation, StochasticResult
from cartsight.planning.stochastic_values import StochasticValues


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """How the study is run.

    Attributes
    ----------
    draws, samples, out_of_sample : int
        Futures per sample, independent samples (each gives a bound and a design), futures that judge the designs.
    information : int
        Futures of the first sample that are also planned for with foreknowledge, for the value of perfect information.
    processes : int
        Processes of a plan that go beyond the screening.
    longest_hold_days : float
        Longest wait across the end of a quarter.
    safety : float
        Square-root safety capacity of a plant.
    top, replications : int
        Designs that go into the simulation, and replications at most.
    indifference : float
        Smallest difference worth detecting, as a share of the net cost per referred patient.
    time_limit : float
        Seconds for the optimisation, shared between its parts.
    """

    draws: int = 50
    samples: int = 4
    out_of_sample: int = 1000
    information: int = 50
    processes: int = 2
    longest_hold_days: float = DAYS_PER_QUARTER
    safety: float = 1.0
    lost_patient: float | None = None
    overtime_share: float = 0.15
    service: float | None = None
    tail: float = 0.10
    top: int = 4
    first_replications: int = 8
    replications: int = 16
    indifference: float = 0.01
    time_limit: float = 180.0
    uncertainties: Uncertainties = field(default_factory=Uncertainties)

    def __post_init__(self) -> None:
        for name, least in (
            ("draws", 2), ("samples", 2), ("out_of_sample", 2), ("information", 1), ("processes", 1), ("top", 1),
            ("replications", 3), ("first_replications", 3),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise InputError(f"must be at least {least}", field=name.replace("_", "-"), found=getattr(self, name))
        for name in ("safety", "overtime_share"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise InputError("must be zero or more", field=name.replace("_", "-"), found=getattr(self, name))
        for name in ("time_limit", "indifference"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError("must be above zero", field=name.replace("_", "-"), found=getattr(self, name))
        if self.lost_patient is not None and not 0.0 <= self.lost_patient < math.inf:
            raise InputError("must be zero or more", field="lost-patient", found=self.lost_patient)
        if self.replications < self.first_replications:
            raise InputError("fewer replications than the first block", field="replications", found=self.replications)


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """A way to make the product, as a network problem with its prices; all processes share plants, regions and prices."""

    name: str
    problem: NetworkProblem
    costs: RecourseCosts


@dataclass(frozen=True, slots=True, eq=False)
class StudiedDesign:
    """A design of one process, with how fresh futures judged it."""

    process: int
    design: NetworkDesign
    evaluation: DesignEvaluation


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """What the screening found for one process: the design for the expected year, its cost and its gap."""

    name: str
    design: NetworkDesign
    cost: float
    gap: float


@dataclass(frozen=True, slots=True, eq=False)
class NetworkStudy:
    """Everything a network study found.

    Attributes
    ----------
    processes : list of Process
        Those that went beyond the screening, best first.
    screening : list of Screened
        All processes, by rising cost.
    samples : list of StochasticResult
        One per independent sample, of its best process (`sample_process`).
    designs : list of StudiedDesign
        By rising out-of-sample cost; the first `proof` rows went into the simulation.
    lower_bound, lower_bound_error : float
        Mean of the samples' bounds and its standard error: an estimate of a bound on the true optimum.
    optimality_gap, optimality_gap_error, optimality_gap_high : float
        Extra cost per year of the best design over the bound of a sample, on the same futures, mean over the samples that did
        not propose it; standard error; upper end of a one-sided 95 % interval (Mak, Morton & Wood).
    value_of_stochastic_solution, value_of_stochastic_solution_error : float
        Mean extra cost per year of the design made for the expected future, on fresh futures. NaN with a
        service level, which that design was not asked to meet.
    information : StochasticValues, optional
        Wait and see, stochastic optimum and expected-value design on the first sample. None with a service level.
    prediction_error : list of dict of name to (mean, low, high)
        Simulated minus predicted in the same futures, by design in the simulation.
    """

    processes: list[Process]
    options: NetworkOptions
    screening: list[Screened]
    samples: list[StochasticResult]
    sample_process: list[int]
    designs: list[StudiedDesign]
    lower_bound: float
    lower_bound_error: float
    optimality_gap: float
    optimality_gap_error: float
    optimality_gap_high: float
    value_of_stochastic_solution: float
    value_of_stochastic_solution_error: float
    information: StochasticValues | None
    proof: Proof
    predictions: list[dict[str, float]]
    prediction_error: list[dict[str, tuple[float, float, float]]]
    seconds: dict[str, float]

    @property
    def problem(self) -> NetworkProblem:
        """The problem of the best process."""
        return self.processes[0].problem
