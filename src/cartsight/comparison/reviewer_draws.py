"""Scenario analyses and severity over parameter draws: how uncertain a row of the table is, not only its point value.

Every draw moves all uncertain numbers together, then each scenario analysis changes what it changes, on the draw's own
patients. Patient noise is taken out of the draw means as in a comparison, so that an interval is parameter uncertainty. A
number that a scenario analysis sets (a price, a wait of zero) has its set value in every draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.comparison.executor import executor_for
from cartsight.comparison.parameter_draws import ParameterDraws, draw_parameters
from cartsight.comparison.patient_noise import without_patient_noise
from cartsight.comparison.scenario_analyses import LIFETIME_YEARS, ScenarioAnalysis, changed_scenario
from cartsight.comparison.scenario_table import BASE_CASE, AnalysisEngine
from cartsight.comparison.single_arm import ArmRun
from cartsight.core.errors import InputError
from cartsight.economics.severity import NICE_DISCOUNT_RATE, population_qalys, severity_weight
from cartsight.evidence.life_tables import life_table
from cartsight.scenario import Scenario

Float = npt.NDArray[np.float64]

FEWEST_DRAWS = 10
BLOCK = 8
SEVERITY = ScenarioAnalysis(
    "severity",
    "NICE's reference case for shortfalls: 3.5 % a year, everybody followed to death",
    analysis={
        "discount_rate_costs": NICE_DISCOUNT_RATE,
        "discount_rate_effects": NICE_DISCOUNT_RATE,
        "horizon_years": LIFETIME_YEARS,
    },
)


@dataclass(frozen=True, slots=True)
class RowArmDraws:
    """One arm in one scenario analysis, over parameter draws.

    Attributes
    ----------
    incremental_net_benefit, low, high : float
        Against the reference arm: mean over the draws, 2.5 and 97.5 percentile without patient noise.
    standard_error : float
        Monte Carlo, of the mean.
    change, change_low, change_high : float
        Of the incremental net benefit from the base case, draw by draw.
    probability_best : float
    """

    arm: str
    incremental_net_benefit: float
    low: float
    high: float
    standard_error: float
    change: float
    change_low: float
    change_high: float
    probability_best: float


@dataclass(frozen=True, slots=True)
class RowDraws:
    """One scenario analysis over parameter draws.

    Attributes
    ----------
    best : str
        Arm with the highest mean net benefit.
    probability_decision_changes : float
        Share of draws in which another arm is best than in the base case of the same draw.
    """

    name: str
    best: str
    probability_decision_changes: float
    arms: tuple[RowArmDraws, ...]


@dataclass(frozen=True, slots=True)
class SeverityDraws:
    """QALY shortfall under established practice over parameter draws.

    Attributes
    ----------
    absolute, proportional : (mean, low, high)
        Mean over the draws, 2.5 and 97.5 percentile without patient noise.
    standard_error : float
        Monte Carlo, of the mean absolute shortfall.
    probability_of_weight : dict of str to float
        Share of the draws by weight.
    """

    current_care: str
    draws: int
    absolute: tuple[float, float, float]
    proportional: tuple[float, float, float]
    standard_error: float
    probability_of_weight: dict[str, float]


@dataclass(frozen=True, slots=True)
class ReviewerDraws:
    """Scenario table and severity over the same parameter draws."""

    draws: int
    reference_arm: str
    rows: tuple[RowDraws, ...]
    severity: SeverityDraws | None


@dataclass(frozen=True, slots=True)
class _Block:
    scenario: Scenario
    draws: ParameterDraws
    first: int
    last: int
    analyses: tuple[ScenarioAnalysis, ...]
    current_care: str | None


@dataclass(frozen=True, slots=True)
class _Moments:
    """Mean and covariance over patients, over their number, of the net benefit of each arm in each row; and shortfalls."""

    benefit: Float
    benefit_noise: Float
    change: Float
    change_noise: Float
    shortfall: Float
    shortfall_noise: Float


def reviewer_draws(
    scenario: Scenario,
    analyses: Sequence[ScenarioAnalysis] = (),
    *,
    current_care: str | None = None,
    draws: int | None = None,
    parameters: ParameterDraws | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ReviewerDraws:
    """Return scenario analyses and, with `current_care`, severity over parameter draws.

    Parameters
    ----------
    scenario : Scenario
        With at least two arms; its seed and number of patients are used.
    analyses : sequence of ScenarioAnalysis
    current_care : str, optional
        Arm of established practice; None leaves severity out.
    draws : int, optional
        The first so many of `parameters`; all of them by default.
    parameters : ParameterDraws, optional
        For example those of a comparison; drawn from the scenario when absent.
    workers : int, optional
        Worker processes; results do not depend on it.
    progress : callable, optional
        Called with (draws done, draws in all).

    Raises
    ------
    InputError
        Fewer than 10 draws, one arm only, or a change that is not possible.
    """
    if len(scenario.arms) < 2:
        raise InputError("a scenario table compares at least two arms", field="arms", found=list(scenario.arms))
    if parameters is None:
        parameters = draw_parameters(scenario, draws or scenario.analysis.draws, scenario.analysis.seed)
    total = len(parameters) if draws is None else min(draws, len(parameters))
    if total < FEWEST_DRAWS:
        raise InputError("an interval needs more parameter draws", found=total, allowed=f"at least {FEWEST_DRAWS}")
    for change in analyses:
        changed_scenario(scenario, change)
    blocks = [
        _Block(scenario, parameters, first, min(first + BLOCK, total), tuple(analyses), current_care)
        for first in range(0, total, BLOCK)
    ]
    found: list[_Moments] = []
    for result in executor_for(workers, len(blocks)).map_blocks(run_block, blocks):
        found += result
        if progress is not None:
            progress(len(found), total)
    names = list(scenario.arms)
    reference = names.index(scenario.reference_arm)
    return ReviewerDraws(
        draws=total,
        reference_arm=scenario.reference_arm,
        rows=_rows(names, reference, [change.name for change in analyses], found) if analyses else (),
        severity=None if current_care is None else _severity(current_care, found),
    )


def run_block(block: _Block) -> list[_Moments]:
    """Return the moments of the draws of a block."""
    results = []
    for draw in range(block.first, block.last):
        scenario = block.scenario.with_values(block.draws.at(draw), known=True)
        try:
            results.append(_one_draw(block, scenario, block.draws.patient_seed(draw)))
        except InputError as error:
            raise InputError(f"parameter draw {draw}: {error.problem}", field=error.field, found=error.found) from None
    return results


def _one_draw(block: _Block, scenario: Scenario, seed: int) -> _Moments:
    engine = AnalysisEngine(scenario, seed)
    base = engine.run(BASE_CASE, scenario)
    reference = list(scenario.arms).index(scenario.reference_arm)
    first = _benefit(scenario, base)
    rows, changes = [first], [_moments(np.zeros_like(first))]
    for change in block.analyses:
        changed = changed_scenario(scenario, change)
        row = _benefit(changed, engine.run(change, changed))
        rows.append(row)
        before, after = (values - values[:, [reference]] for values in (first, row))
        if before.shape == after.shape:
            changes.append(_moments(after - before))
        else:
            # Another number of referrals: other patients, so the errors of both means add up.
            (mean, noise), (other, more) = _moments(before), _moments(after)
            changes.append((other - mean, noise + more))
    shortfall = np.zeros((1, 2))
    if block.current_care is not None:
        changed = changed_scenario(scenario, SEVERITY)
        run = engine.run(SEVERITY, changed, (block.current_care,))[block.current_care]
        mortality, people = scenario.population.background_mortality, run.trajectories.patients
        table = life_table(mortality.life_table, mortality.year)
        without = population_qalys(table, people.age, people.female, discount_rate=NICE_DISCOUNT_RATE)
        shortfall = np.stack([without, run.effect], axis=1)
    moments = [_moments(row) for row in rows]
    mean_shortfall, noise_of_shortfall = _moments(shortfall)
    return _Moments(
        benefit=np.array([mean for mean, _ in moments]),
        benefit_noise=np.array([noise for _, noise in moments]),
        change=np.array([mean for mean, _ in changes]),
        change_noise=np.array([noise for _, noise in changes]),
        shortfall=mean_shortfall,
        shortfall_noise=noise_of_shortfall,
    )


def _benefit(scenario: Scenario, runs: dict[str, ArmRun]) -> Float:
    """Return the net benefit of each patient in each arm, shape (patients, arms)."""
    threshold = scenario.analysis.decision_threshold
    return np.stack([threshold * run.effect - run.cost for run in runs.values()], axis=1)


def _moments(values: Float) -> tuple[Float, Float]:
    """Return mean over patients, and the covariance between patients over their number."""
    mean = np.asarray(values.mean(axis=0))
    if values.shape[0] < 2:
        return mean, np.zeros((values.shape[1], values.shape[1]))
    return mean, np.asarray(np.atleast_2d(np.cov(values, rowvar=False)) / values.shape[0])


def _rows(names: list[str], reference: int, analyses: list[str], found: list[_Moments]) -> tuple[RowDraws, ...]:
    raw = np.stack([one.benefit for one in found])
    noise = np.stack([one.benefit_noise for one in found]).mean(axis=0)
    raw_change = np.stack([one.change for one in found])
    change_noise = np.stack([one.change_noise for one in found]).mean(axis=0)
    clean = np.stack([without_patient_noise(raw[:, r], noise[r]) for r in range(raw.shape[1])], axis=1)
    base_best = clean[:, 0].argmax(axis=1)
    rows = []
    for r, name in enumerate([BASE_CASE.name, *analyses]):
        best = clean[:, r].argmax(axis=1)
        increment = clean[:, r] - clean[:, r, [reference]]
        simulated = raw[:, r] - raw[:, r, [reference]]
        change = raw_change[:, r]
        if change.any():
            change = without_patient_noise(change, change_noise[r])
        arms = [
            RowArmDraws(
                arm=arm,
                incremental_net_benefit=float(increment[:, a].mean()),
                low=_quantile(increment[:, a], 0.025),
                high=_quantile(increment[:, a], 0.975),
                standard_error=float(simulated[:, a].std(ddof=1) / np.sqrt(len(found))),
                change=float(change[:, a].mean()),
                change_low=_quantile(change[:, a], 0.025),
                change_high=_quantile(change[:, a], 0.975),
                probability_best=float(np.mean(best == a)),
            )
            for a, arm in enumerate(names)
        ]
        rows.append(
            RowDraws(
                name=name,
                best=names[int(clean[:, r].mean(axis=0).argmax())],
                probability_decision_changes=float(np.mean(best != base_best)),
                arms=tuple(arms),
            )
        )
    return tuple(rows)


def _severity(current_care: str, found: list[_Moments]) -> SeverityDraws:
    raw = np.stack([one.shortfall for one in found])
    clean = without_patient_noise(raw, np.stack([one.shortfall_noise for one in found]).mean(axis=0))
    absolute = clean[:, 0] - clean[:, 1]
    proportional = absolute / clean[:, 0]
    weights = [severity_weight(a, p) for a, p in zip(absolute.tolist(), proportional.tolist(), strict=True)]
    simulated = raw[:, 0] - raw[:, 1]
    return SeverityDraws(
        current_care=current_care,
        draws=len(found),
        absolute=(float(absolute.mean()), _quantile(absolute, 0.025), _quantile(absolute, 0.975)),
        proportional=(float(proportional.mean()), _quantile(proportional, 0.025), _quantile(proportional, 0.975)),
        standard_error=float(simulated.std(ddof=1) / np.sqrt(len(found))),
        probability_of_weight={f"{weight:g}": weights.count(weight) / len(found) for weight in sorted(set(weights))},
    )


def _quantile(values: Float, share: float) -> float:
    return float(np.quantile(values, share))
