"""Question 3: tests ranked by the value of what they would reveal, less what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from cartsight.comparison.conditional_expectation import most_parameters
from cartsight.comparison.value_of_information import (
    affected_population,
    expected_value_of_partial_perfect_information,
    expected_value_of_perfect_information,
)
from cartsight.reporting.charts.style import points, svg
from cartsight.reporting.palette import BAD, CATEGORIES, INK
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.in_vivo_manufacturing.arms import PlatformRuns
from cartsight.studies.in_vivo_manufacturing.designs import Read, Test, load_analytics, summary
from cartsight.studies.in_vivo_manufacturing.plants import PlantDraws
from cartsight.studies.in_vivo_manufacturing.supply import currency, rounded

Float = npt.NDArray[np.float64]

QUESTION = "Which analytics to start now: which tests are worth most for what they would reveal, less what they cost?"
DATA_SETS = 5
CHANCE_FITS = 4
Z95 = 1.96
MONTHS = 12.0


@dataclass(frozen=True, eq=False, slots=True)
class Decision:
    """Arms between which a patient's choice lies, over parameter draws, arrays of shape (draws, arms)."""

    name: str
    weight: float
    costs: Float
    effects: Float
    threshold: float

    def perfect(self) -> tuple[float, float]:
        """Return the value of perfect information per patient and its standard error."""
        found = expected_value_of_perfect_information(self.costs, self.effects, self.threshold)
        return float(found.value[0]), float(found.standard_error[0])

    def partial(self, columns: Float, seed: int) -> tuple[float, float]:
        """Return the value per patient of knowing the columns, and its standard error."""
        found = expected_value_of_partial_perfect_information(
            self.costs, self.effects, columns, self.threshold, seed=seed
        )
        return float(found.value[0]), float(found.standard_error[0])


@dataclass(frozen=True, slots=True)
class Ranked:
    """A test with its values, in the scenario's money; per eligible patient unless they say population.

    Parameters
    ----------
    perfect, sample : float
        Value of knowing its parameters, and of its data.
    error : float
        Standard error of `sample`.
    sample_at_cost, error_at_cost : float
        The same with the in vivo product at cost.
    population : float
        Discounted eligible patients whose choice comes after the result.
    """

    key: str
    test: Test
    perfect: float
    sample: float
    error: float
    sample_at_cost: float
    error_at_cost: float
    population: float
    patients_per_year: float

    @property
    def value(self) -> float:
        """Value of the data for the population."""
        return self.sample * self.population

    @property
    def net(self) -> float:
        """Value less cost."""
        return self.value - self.test.cost

    @property
    def verdict(self) -> str:
        """Whether the value is above the cost beyond its error, and under which price."""
        if self.worth(self.sample_at_cost - Z95 * self.error_at_cost):
            return "start now"
        if self.worth(self.sample - Z95 * self.error):
            return "start now if sold at its value"
        return "open" if self.net > 0.0 else "not for this choice"

    def worth(self, per_patient: float) -> bool:
        """Return whether so much per patient pays for the test."""
        return per_patient * self.population > self.test.cost


def decisions(run: PlatformRuns, dose_cost: Float, reached: float, *, at_value: bool) -> tuple[Decision, Decision]:
    """Return the two choices: all arms where autologous is in reach, in vivo or no cell therapy where it is not.

    Parameters
    ----------
    run : PlatformRuns
    dose_cost : array, shape (draws,)
    reached : float
        Share of patients whom autologous CAR-T reaches.
    at_value : bool
        Where the in vivo arm is expected to be worth more than it costs beside no cell therapy, charge its value: the price at
        which a payer is indifferent, and a study worth most. Otherwise all arms are at cost.
    """
    vivo_cost = np.array([d.in_vivo.cost + c * d.in_vivo.doses for d, c in zip(run.draws, dose_cost, strict=True)])
    vivo_effect = run.column(lambda d: d.in_vivo.effect)
    doses = run.column(lambda d: d.in_vivo.doses)
    other = run.column(lambda d: d.other_cost), run.column(lambda d: d.other_effect)
    autologous = run.column(lambda d: d.autologous_cost), run.column(lambda d: d.autologous_effect)
    surplus = float((run.threshold * (vivo_effect - other[1]) - (vivo_cost - other[0])).mean())
    charged = vivo_cost + (max(surplus, 0.0) / float(doses.mean()) * doses if at_value else 0.0)
    return (
        Decision(
            "autologous in reach",
            reached,
            np.column_stack([autologous[0], vivo_cost, other[0]]),
            np.column_stack([autologous[1], vivo_effect, other[1]]),
            run.threshold,
        ),
        Decision(
            "autologous out of reach",
            1.0 - reached,
            np.column_stack([other[0], charged]),
            np.column_stack([other[1], vivo_effect]),
            run.threshold,
        ),
    )


def _weighted(choices: tuple[Decision, ...], columns: Float, seed: int) -> tuple[float, float]:
    """Return the value of the columns per patient above what columns that say nothing would seem to have, and its error.

    Where two arms are nearly equal, a regression on finite draws finds value in noise; the mean over rows put in random order
    measures it.
    """
    value, variance = 0.0, 0.0
    generator = np.random.Generator(np.random.PCG64(seed))
    orders = [generator.permutation(len(columns)) for _ in range(CHANCE_FITS)]
    for choice in choices:
        found, error = choice.partial(columns, seed)
        chance = np.array([choice.partial(columns[order], seed)[0] for order in orders])
        value += choice.weight * (found - float(chance.mean()))
        variance += choice.weight**2 * (error**2 + float(chance.var(ddof=1)) / CHANCE_FITS)
    return max(value, 0.0), float(np.sqrt(variance))


def rank_test(
    key: str,
    test: Test,
    run: PlatformRuns,
    at_value: tuple[Decision, ...],
    at_cost: tuple[Decision, ...],
    plant_values: PlantDraws,
    *,
    patients_per_year: float,
    horizon_years: float,
    seed: int,
) -> Ranked:
    """Return a test's value with and without its sampling error."""
    reads = test.reads[: most_parameters(len(run.draws))]
    columns = [_column(read, run, plant_values) for read in reads]
    perfect, _ = _weighted(at_value, np.column_stack(columns), seed)
    same = np.array_equal(at_value[1].costs, at_cost[1].costs)
    sampled: dict[str, list[tuple[float, float]]] = {"value": [], "cost": []}
    for number in range(DATA_SETS):
        generator = np.random.Generator(np.random.PCG64([seed, number, *key.encode()]))
        data = np.column_stack(
            [summary(test, read, column, generator) for read, column in zip(reads, columns, strict=True)]
        )
        sampled["value"].append(_weighted(at_value, data, seed))
        sampled["cost"].append(sampled["value"][-1] if same else _weighted(at_cost, data, seed))
    rate = run.scenario.analysis.discount_rate_costs
    delay = min(test.months / MONTHS, horizon_years)
    after = affected_population(
        incidence_per_year=patients_per_year, horizon_years=horizon_years, discount_rate=rate
    ) - affected_population(incidence_per_year=patients_per_year, horizon_years=delay, discount_rate=rate)
    value, error = _over_data_sets(sampled["value"])
    value_at_cost, error_at_cost = _over_data_sets(sampled["cost"])
    return Ranked(
        key, test, perfect, min(value, perfect), error, value_at_cost, error_at_cost, after, patients_per_year
    )  # fmt: skip


def _over_data_sets(found: list[tuple[float, float]]) -> tuple[float, float]:
    """Return mean and standard error over data sets.

    Data sets differ by chance; the draws behind them are the same, whose error does not shrink with more data sets.
    """
    values, errors = np.array(found).T
    spread = float(values.std(ddof=1)) / np.sqrt(len(values))
    return float(values.mean()), float(np.hypot(errors.mean(), spread))


def _column(read: Read, run: PlatformRuns, plant_values: PlantDraws) -> Float:
    return run.parameters[read.parameter] if read.parameter in run.parameters else plant_values[read.parameter]


def analytics_to_start(
    runs: tuple[PlatformRuns, ...],
    dose_cost: dict[str, Float],
    plant_values: PlantDraws,
    patients: dict[str, float],
    seed: int,
    progress: Progress,
) -> Answer:
    """Return the answer to question 3.

    Parameters
    ----------
    runs : tuple of PlatformRuns
    dose_cost : dict of platform key to array, shape (draws,)
    plant_values : PlantDraws
        At the same parameter draws.
    patients : dict of platform key to float
        Eligible patients a year.
    seed : int
        Of simulated data sets and fits.
    progress : callable
    """
    tests = load_analytics()
    reached, horizon = tests.population.reached_by_autologous.x, tests.population.horizon.x
    ranked: list[Ranked] = []
    figures: list[Figure] = []
    words = []
    by_key = {run.platform.key: run for run in runs}
    money = runs[0].scenario.analysis.money
    choices = {key: decisions(run, dose_cost[key], reached, at_value=True) for key, run in by_key.items()}
    at_cost = {key: decisions(run, dose_cost[key], reached, at_value=False) for key, run in by_key.items()}
    for done, (key, test) in enumerate(tests.tests.items()):
        run = by_key[test.platform]
        ranked.append(
            rank_test(
                key, test, run, choices[test.platform], at_cost[test.platform], plant_values,
                patients_per_year=patients[test.platform], horizon_years=horizon, seed=seed,
            )
        )  # fmt: skip
        progress("tests", done + 1, len(tests.tests))
    ranked.sort(key=lambda r: -r.net)
    for key, run in by_key.items():
        for price, options in (("at cost", at_cost[key]), ("in vivo sold at its value", choices[key][1:])):
            for choice in options:
                value, error = choice.perfect()
                figures.append(
                    Figure(
                        f"{run.platform.title}: value of perfect information per patient, {choice.name}, {price}", value,
                        max(value - Z95 * error, 0.0), value + Z95 * error, money, "95 % sampling error of the parameter draws",
                    )
                )  # fmt: skip
        best = [r for r in ranked if r.test.platform == key]
        words.append(_text(run, choices[key], at_cost[key], best, currency(money)))
    for r in ranked:
        title = by_key[r.test.platform].platform.title
        sampling = "95 % error of draws, data sets and regression"
        low, high = max(r.sample - Z95 * r.error, 0.0), r.sample + Z95 * r.error
        figures.append(
            Figure(f"{title}: value per patient, {r.test.label}, n = {r.test.n}", r.sample, low, high, money, sampling)
        )
        figures.append(
            Figure(
                f"{title}: value for the population, {r.test.label}",
                r.value,
                low * r.population,
                high * r.population,
                money,
                sampling,
            )
        )
    return Answer(
        QUESTION,
        " ".join(words),
        tuple(figures),
        tuple(_row(r, by_key[r.test.platform].platform.title) for r in ranked),
        _chart(ranked, by_key),
        _would_change(ranked, by_key, money),
        (
            "how much of a parameter a surrogate carries (0.5 to 0.8): no study was read that validates one",
            "sizes and costs of the tests: ours",
            "eligible patients a year, years that the choice stays open, and the share that autologous CAR-T reaches",
            "priors from five patients: a value of information rests on them as much as a result does",
            "choices of dose, lot release or trial design, which these tests inform too, are not valued; nor are anti-vector antibodies and "
            "insertion sites for the vector, whose arm has one course and no second cancers",
        ),
    )


def _text(
    run: PlatformRuns, at_value: tuple[Decision, ...], at_cost: tuple[Decision, ...], ranked: list[Ranked], money: str
) -> str:
    reach, out, sold = at_cost[0].perfect()[0], at_cost[1].perfect()[0], at_value[1].perfect()[0]

    def words(verdict: str) -> str:
        return "; ".join(
            f"{r.test.label} ({r.test.n} {r.test.units}, worth {rounded(r.value / 1e6)} million {money} for a cost of {r.test.cost / 1e6:,.1f})"
            for r in ranked
            if r.verdict == verdict
        )

    text = (
        f"{run.platform.title}: knowing everything is worth {rounded(reach)} {money} per patient whom autologous CAR-T reaches, and per patient it "
        f"does not reach {rounded(out)} with the in vivo product at cost and {rounded(sold)} sold at its value. "
    )
    now, sold_now, still = (words(v) for v in ("start now", "start now if sold at its value", "open"))
    text += f"Start now: {now}. " if now else "At cost no test is clearly worth starting for the choice between arms. "
    if sold_now:
        text += f"Start now if the product will be sold at its value: {sold_now}. "
    if still:
        text += f"Open (worth it at the estimate, not at its lower bound): {still}. "
    making = [r for r in ranked if r.test.units in ("lots", "batches")]
    if making:
        top = making[0]
        text += f"Best of the manufacturing analytics: {top.test.label}, {rounded(top.value / 1e6)} million for {top.test.cost / 1e6:,.1f}: {top.verdict}."
    return text.strip()


def _row(r: Ranked, title: str) -> dict[str, Any]:
    return {
        "test": r.test.label,
        "platform": title,
        "sample": f"{r.test.n} {r.test.units}",
        "months": r.test.months,
        "informs": ", ".join(read.parameter for read in r.test.reads),
        "value if known exactly, per patient": r.perfect,
        "value of the data, per patient": r.sample,
        "standard error": r.error,
        "value of the data at cost, per patient": r.sample_at_cost,
        "value for the population": r.value,
        "cost": r.test.cost,
        "value less cost": r.net,
        "cost of a year's delay": r.sample * r.patients_per_year,
        "verdict": r.verdict,
    }


def _would_change(ranked: list[Ranked], by_key: dict[str, PlatformRuns], money: str) -> tuple[str, ...]:
    found = []
    for r in ranked:
        if r.sample <= 0.0:
            continue
        needed = r.test.cost / (r.value / r.patients_per_year)
        title = by_key[r.test.platform].platform.title
        if 0.1 * r.patients_per_year < needed < 10.0 * r.patients_per_year:
            found.append(
                f"{title}, {r.test.label}: worth its cost from {rounded(needed)} eligible patients a year ({rounded(r.patients_per_year)} here), or below "
                f"a cost of {rounded(r.value)} {currency(money)}."
            )
    top = ranked[0]
    found.append(
        f"{by_key[top.test.platform].platform.title}, {top.test.label}, the first of all: stops being worth it above a cost of {rounded(top.value)} {currency(money)} or below "
        f"{rounded(top.test.cost / (top.value / top.patients_per_year))} eligible patients a year."
        if top.value > 0
        else "No test has any value at these draws."
    )
    return tuple(found)


def _chart(ranked: list[Ranked], by_key: dict[str, PlatformRuns]) -> str:
    panels = []
    for key, run in by_key.items():
        mine = [r for r in ranked if r.test.platform == key]
        order = [r.test.label for r in mine]
        rows = [
            {
                "test": r.test.label,
                "perfect": r.perfect * r.population / 1e6,
                "value": r.value / 1e6,
                "cost": r.test.cost / 1e6,
            }
            for r in mine
        ]
        base = alt.Chart(points(rows)).encode(
            y=alt.Y(
                "test:N",
                sort=order,
                title=None,
                axis=alt.Axis(domain=False, ticks=False, labelColor=INK, labelLimit=330),
            )
        )
        title = f"{run.platform.title}: light, parameters known exactly; dark, the test's data; red, its cost"
        axis = alt.X("perfect:Q", title="Value for the population, million USD", axis=alt.Axis(format="~s"))
        layers = (
            base.mark_bar(height=16, color=CATEGORIES[0], opacity=0.3).encode(x=axis),
            base.mark_bar(height=8, color=CATEGORIES[0]).encode(x="value:Q"),
            base.mark_tick(color=BAD, thickness=2.5, size=18).encode(x="cost:Q"),
        )
        panels.append(alt.layer(*layers).properties(width=440, height=alt.Step(24), title=title))
    return svg(
        alt.vconcat(*panels, spacing=24),
        "analytics",
        "Tests by the value of what they would reveal for the population, with their costs, for the mRNA and the vector platform",
    )
