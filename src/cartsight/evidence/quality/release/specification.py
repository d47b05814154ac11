"""A release specification: how lots vary, how they are measured, which limits apply and what follows a failure.

Latent model of attribute j of lot i on its scale (identity, log, logit)::

    theta_ij = mu_j + x_i' beta_j + site + donor + run          each multivariate normal across attributes
    y_ijk    = g^-1(theta_ij + bias + lab + session + replicate), then counting, detection limit, rounding

Standard deviations are those of the process and of the assay kept apart: the sd of past reported results holds both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.release.scales import Scale
from cartsight.evidence.quality.sterility import TimeToDetection

Float = npt.NDArray[np.float64]
LEVELS = ("site", "donor", "run")
ResultRule = Literal["mean", "geometric_mean", "all"]
RetestRule = Literal["all", "mean", "mean_with_first"]
RESULT_RULES = ("mean", "geometric_mean", "all")
RETEST_RULES = ("all", "mean", "mean_with_first")

STATES = (
    "in_specification",
    "invalid_assay",
    "retest_pending",
    "confirmed_out_of_specification",
    "terminated",
    "used_out_of_specification",
    "remade",
)


@dataclass(frozen=True)
class Limits:
    """Specification limits in reported units; infinite on an open side."""

    lower: float = -math.inf
    upper: float = math.inf

    def __post_init__(self) -> None:
        if math.isnan(self.lower) or math.isnan(self.upper) or not self.lower < self.upper:
            raise InputError("limits must satisfy lower < upper", found=(self.lower, self.upper))

    @property
    def open(self) -> bool:
        """Whether neither side is limited (the attribute is reported, not decided on)."""
        return math.isinf(self.lower) and math.isinf(self.upper)


@dataclass(frozen=True)
class Retest:
    """What follows a first result out of limits.

    Attributes
    ----------
    results : int
        Predefined number of retest results; 0 confirms the first result at once.
    rule : {"all", "mean", "mean_with_first"}
        All retest results inside; their mean inside; or the mean of them and the first result (which averages an
        unexplained failure away).
    days : float
        Days the retest adds.
    """

    results: int = 0
    rule: RetestRule = "all"
    days: float = 0.0


@dataclass(frozen=True)
class Assay:
    """How an attribute is measured.

    Attributes
    ----------
    lab_sd, session_sd, replicate_sd : float
        On the attribute's scale: between laboratories (shared by all results of a lot), between sessions, and between
        replicates of one session.
    bias : float
        On the attribute's scale.
    sessions, replicates : int
        Sessions per reportable result, and replicates in each.
    result : {"mean", "geometric_mean", "all"}
        Reportable result: one mean, or every replicate judged by itself.
    counted : {"binomial", "poisson"} or None
        Counting floor: `events` gated per replicate (binomial share), or a Poisson count of `amount` times the value
        (for example the volume plated).
    detection_limit : float
        In reported units; results below are left-censored. 0 or minus infinity: none.
    rounding : float
        Step of reported results, applied before the comparison with the limit (half away upwards). 0: none.
    invalid_probability : float
        Probability that a run fails its own suitability and gives no result.
    invalid_repeats : int
        Further runs allowed when a run is invalid.
    days, cost, sample_ml : float
        Days after harvest, cost of one run, product volume used per replicate.
    """

    lab_sd: float = 0.0
    session_sd: float = 0.0
    replicate_sd: float = 0.0
    bias: float = 0.0
    sessions: int = 1
    replicates: int = 1
    result: ResultRule = "mean"
    counted: Literal["binomial", "poisson"] | None = None
    events: int = 0
    amount: float = 1.0
    detection_limit: float = -math.inf
    rounding: float = 0.0
    invalid_probability: float = 0.0
    invalid_repeats: int = 1
    days: float = 0.0
    cost: float = 0.0
    sample_ml: float = 0.0
    retest: Retest = field(default_factory=Retest)

    @property
    def result_sd(self) -> float:
        """Standard deviation of one reportable mean on the attribute's scale, without counting."""
        n = self.sessions * self.replicates
        return math.sqrt(self.lab_sd**2 + self.session_sd**2 / self.sessions + self.replicate_sd**2 / n)

    def halved(self) -> Assay:
        """Return the assay with every error standard deviation halved."""
        return replace(
            self,
            lab_sd=0.5 * self.lab_sd,
            session_sd=0.5 * self.session_sd,
            replicate_sd=0.5 * self.replicate_sd,
        )


@dataclass(frozen=True)
class Attribute:
    """A measured attribute of a lot.

    Attributes
    ----------
    name, unit : str
    scale : Scale
    centre : float
        Median lot in reported units, all covariates at zero.
    site_sd, donor_sd, run_sd : float
        Of the true value on the scale.
    effects : dict
        Effect of each covariate on the scale.
    assay : Assay
    limits : Limits
        Of the product and region in force.
    guard_band : float
        Distance on the attribute's scale by which the acceptance limits lie inside the limits.
    post_thaw_shift, post_thaw_sd : float
        Change from freezing and thawing on the scale (negative for a loss).
    tested_after_thaw : bool
        Whether the test and its truth refer to a thawed sample.
    never_use : bool
        Whether a confirmed failure of this attribute excludes use out of specification.
    """

    name: str
    scale: Scale
    centre: float
    unit: str = ""
    site_sd: float = 0.0
    donor_sd: float = 0.0
    run_sd: float = 0.0
    effects: dict[str, float] = field(default_factory=dict)
    assay: Assay = field(default_factory=Assay)
    limits: Limits = field(default_factory=Limits)
    guard_band: float = 0.0
    post_thaw_shift: float = 0.0
    post_thaw_sd: float = 0.0
    tested_after_thaw: bool = False
    never_use: bool = False

    @property
    def mu(self) -> float:
        """Median lot on the scale."""
        return self.scale.transform(self.centre)

    @property
    def lot_sd(self) -> float:
        """Standard deviation of the true value between lots, on the scale, covariates aside."""
        return math.sqrt(self.site_sd**2 + self.donor_sd**2 + self.run_sd**2)

    @property
    def true_sd(self) -> float:
        """Standard deviation of the true value that is tested."""
        return math.hypot(self.lot_sd, self.post_thaw_sd if self.tested_after_thaw else 0.0)

    @property
    def true_mu(self) -> float:
        """Median of the true value that is tested, on the scale."""
        return self.mu + (self.post_thaw_shift if self.tested_after_thaw else 0.0)

    @property
    def true_limits(self) -> tuple[float, float]:
        """Limits on the scale: what a lot truly has to satisfy."""
        return self.scale.transform(self.limits.lower), self.scale.transform(self.limits.upper)

    @property
    def acceptance(self) -> tuple[float, float]:
        """Limits in reported units that a reported result has to satisfy, guard band included."""
        low, high = self.limits.lower, self.limits.upper
        if self.guard_band != 0.0:
            low, high = (
                float(self.scale.inverse(self.scale.transform(edge) + sign * self.guard_band))
                if self.scale.inside(edge)
                else edge
                for edge, sign in ((low, 1.0), (high, -1.0))
            )
        return low, high


@dataclass(frozen=True)
class SafetyTest:
    """A growth-based test with a binary result (sterility, mycoplasma).

    Attributes
    ----------
    prior : float
        Probability that a lot is contaminated.
    organisms_per_ml, organisms_log_sd : float
        Median load of a contaminated lot and its spread (sd of ln).
    sample_ml : float
        Volume tested, taken from the product.
    detection : TimeToDetection
        Given that the sample holds an organism.
    read_day : float
        Day after harvest on which a lot without a signal passes.
    false_positive : float
        Probability of a signal by `read_day` from a sample without organisms.
    after_release : bool
        The result arrives after release on the other tests (conditional release) and delays nothing.
    cost : float
    """

    name: str
    prior: float
    organisms_per_ml: float
    sample_ml: float
    detection: TimeToDetection
    read_day: float
    false_positive: float = 0.0
    organisms_log_sd: float = 0.0
    after_release: bool = False
    cost: float = 0.0
    rapid: RapidTest | None = None
    floor_released_contaminated: float | None = None


@dataclass(frozen=True)
class RapidTest:
    """An alternative to a safety test, for the marginal value: what differs."""

    detection: TimeToDetection
    read_day: float
    false_positive: float
    sample_ml: float
    cost: float


@dataclass(frozen=True)
class Covariate:
    """How a patient covariate is distributed when none is given: a share of ones, or a normal value."""

    name: str
    probability: float | None = None
    mean: float = 0.0
    sd: float = 0.0


@dataclass(frozen=True)
class Process:
    """The run: its time and cost, terminations before testing, attempts.

    `termination_probability` is the average over donors; `termination_effects` are log-odds per covariate;
    `termination_donor_sd` is the sd of a donor effect on the log-odds that all attempts of a patient share.
    """

    days: float = 0.0
    cost: float = 0.0
    termination_probability: float = 0.0
    termination_donor_sd: float = 0.0
    termination_effects: dict[str, float] = field(default_factory=dict)
    attempts: int = 1
    remake_wait_days: float = 0.0


@dataclass(frozen=True)
class Disposition:
    """What follows a confirmed failure: use under expanded access, then another attempt, then no product."""

    use_out_of_specification: float = 0.0
    approval_days: float = 0.0
    review_days: float = 0.0
    as_of_day: float = math.inf


@dataclass(frozen=True)
class Loss:
    """Patient outcome lost per lot (for example QALYs), for the choice of a guard band.

    A released bad lot, a good lot rejected (delay, remake, no product) and a bad lot rejected; and the daily hazard of
    losing a waiting patient.
    """

    released_bad: float = 0.0
    rejected_good: float = 0.0
    rejected_bad: float = 0.0
    waiting_hazard_per_day: float = 0.0
    unit: str = "units of loss"

    @property
    def stated(self) -> bool:
        """Whether there is a trade to optimise."""
        return self.released_bad > 0.0 and self.rejected_good > 0.0


@dataclass(frozen=True)
class Target:
    """A stated consumer's risk that a guard band must reach."""

    consumers_risk: float
    kind: Literal["joint", "conditional"] = "joint"


@dataclass(frozen=True)
class DataBehind:
    """How many lots, sites, laboratories, assay runs and starts the numbers were estimated from; 0 takes them as known."""

    lots: int = 0
    sites: int = 0
    laboratories: int = 0
    assay_runs: int = 0
    starts: int = 0
    draws: int = 32


@dataclass(frozen=True)
class ReleaseSpecification:
    """Everything about the release of one product in one region.

    `money` is the unit of all costs (for example ``usd_2024``), empty when they have none; `amount_per_dose` is what one
    dose holds, in the unit of the dose attribute, for a product made in lots of many doses. `stated` names the keys that
    were given and are not defaults (``process.termination_probability``), for readers to whom the difference matters.
    """

    product: str
    region: str
    attributes: tuple[Attribute, ...]
    correlation: dict[str, Float] = field(default_factory=dict)
    safety: tuple[SafetyTest, ...] = ()
    covariates: tuple[Covariate, ...] = ()
    process: Process = field(default_factory=Process)
    disposition: Disposition = field(default_factory=Disposition)
    loss: Loss = field(default_factory=Loss)
    target: Target | None = None
    product_volume_ml: float = 0.0
    dose_attribute: str | None = None
    lots: int = 100_000
    seed: int = 1
    amount_per_dose: float | None = None
    money: str | None = None
    data_behind: DataBehind | None = None
    stated: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.attributes and not self.safety:
            raise InputError("a release specification needs at least one attribute or safety test", field="attributes")
        if self.sampled_fraction >= 1.0:
            raise InputError(
                "the tests use up the whole product",
                field="sampling.product_volume_ml",
                found=self.product_volume_ml,
                allowed=f"above {self.sampled_ml:g} mL",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the attributes, in order."""
        return tuple(attribute.name for attribute in self.attributes)

    def attribute(self, name: str) -> Attribute:
        """Return an attribute by name."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        raise InputError("no such attribute", found=name, hint=nearest(name, self.names))

    @property
    def sampled_ml(self) -> float:
        """Volume that the planned tests take from the product (no retests, no repeats)."""
        measured = sum(a.assay.sample_ml * a.assay.sessions * a.assay.replicates for a in self.attributes)
        return measured + sum(test.sample_ml for test in self.safety)

    @property
    def sampled_fraction(self) -> float:
        """Share of the product that the planned tests use."""
        return self.sampled_ml / self.product_volume_ml if self.product_volume_ml > 0 else 0.0

    def with_attribute(self, changed: Attribute) -> ReleaseSpecification:
        """Return the specification with one attribute replaced by name."""
        return replace(self, attributes=tuple(changed if a.name == changed.name else a for a in self.attributes))

    def with_guard_band(self, multiple: float) -> ReleaseSpecification:
        """Return the specification with guard bands of `multiple` result standard deviations on every attribute."""
        return replace(
            self,
            attributes=tuple(replace(a, guard_band=multiple * a.assay.result_sd) for a in self.attributes),
        )

    def level_correlation(self, level: str) -> Float:
        """Return the correlation matrix across attributes at a level, the identity where none was stated."""
        found = self.correlation.get(level)
        return np.eye(len(self.attributes)) if found is None else found


def cholesky(matrix: Float, level: str) -> Float:
    """Return a square root L of a correlation matrix, L L' = matrix; semi-definite matrices are accepted.

    Raises
    ------
    InputError
        When no set of attributes can have these correlations.
    """
    values, vectors = np.linalg.eigh(matrix)
    if values.min() < -1e-9:
        raise InputError(
            f"the correlations at level {level!r} contradict each other (smallest eigenvalue {values.min():.3g})",
            field="correlation",
            hint="No attributes can have them all; make the strong ones agree or weaken them.",
        )
    if values.min() > 1e-12:
        return np.asarray(np.linalg.cholesky(matrix))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
