"""Tests and the data they would give: a summary statistic per parameter draw, for the value of sample information.

The value of a study is the expected gain in net benefit when the choice may follow its data. Following Strong, Oakley, Brennan
& Breeze 2015 (Medical Decision Making, regression on the sample of a probabilistic sensitivity analysis), a data set is
simulated at each parameter draw and net benefit is regressed on its summary; nothing is simulated again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.special import ndtr

from cartsight.comparison.conditional_expectation import normal_scores
from cartsight.scenario.numbers import Frozen, Money, Probability, Years
from cartsight.studies.study_numbers import read_study_numbers

Float = npt.NDArray[np.float64]

TESTS = Path(__file__).parent / "analytics.toml"
ONSET_DAYS = 28.0
REFERENCE_SHARE = 0.6

Design = Literal["share", "duration", "odds_ratio", "onset", "lot_spread", "mean"]


class Read(Frozen):
    """A parameter that a test reads, and how."""

    parameter: str = Field(description="Field path in the scenario, or in plants.toml.")
    design: Design
    carries: float = Field(
        gt=0, le=1, description="Share of the parameter's uncertainty that a perfect readout settles."
    )


class Test(Frozen):
    """A test, its sample and its cost."""

    # pytest would collect a class of this name.
    __test__ = False

    platform: Literal["mrna", "vector"]
    label: str
    units: str
    n: int = Field(ge=1)
    months: float = Field(gt=0)
    follow_up_years: float = Field(1.0, gt=0)
    assay_cv: float = Field(0.0, ge=0)
    unit_cv: float = Field(0.0, ge=0, description="Coefficient of variation between units of what a mean reads.")
    fixed: Money
    per_unit: Money
    reads: tuple[Read, ...] = Field(min_length=1, max_length=2)

    @property
    def cost(self) -> float:
        """Cost of the study, in the file's money."""
        return self.fixed.x + self.n * self.per_unit.x


class Population(Frozen):
    """Whose choices the tests inform."""

    reached_by_autologous: Probability
    horizon: Years


class Analytics(Frozen):
    """analytics.toml."""

    population: Population
    tests: dict[str, Test]


@cache
def load_analytics() -> Analytics:
    """Return the study's tests."""
    return read_study_numbers(TESTS, Analytics)


def seen_values(values: Float, carries: float, generator: np.random.Generator) -> Float:
    """Return what a perfect readout would show: the parameter on its own scale, correlated with it.

    Normal scores of the draws are mixed with noise so that `carries` of their variance is shared, and the mixture is read back
    off the draws' own distribution.

    Parameters
    ----------
    values : array, shape (draws,)
    carries : float
        One gives the values themselves.
    """
    if carries >= 1.0:
        return values
    z = np.sqrt(carries) * normal_scores(values) + np.sqrt(1.0 - carries) * generator.standard_normal(values.size)
    return np.asarray(np.quantile(values, ndtr(z)))


def summary(test: Test, read: Read, values: Float, generator: np.random.Generator) -> Float:
    """Return the summary of one simulated data set per parameter draw, shape (draws,)."""
    truth = seen_values(values, read.carries, generator)
    n = test.n
    match read.design:
        case "share":
            return generator.binomial(n, np.clip(truth, 0.0, 1.0)) / n
        case "odds_ratio":
            odds = REFERENCE_SHARE / (1.0 - REFERENCE_SHARE) * truth
            return generator.binomial(n, odds / (1.0 + odds)) / n
        case "onset":
            return generator.binomial(n, -np.expm1(-truth * ONSET_DAYS)) / n
        case "duration":
            # Exponential times with the parameter's median (in days), censored at the end of follow-up.
            follow_up = test.follow_up_years * 365.25
            times = generator.exponential(1.0, (n, truth.size)) * truth / np.log(2.0)
            events = (times < follow_up).sum(axis=0)
            exposure = np.minimum(times, follow_up).sum(axis=0)
            return np.asarray(np.log((events + 0.5) / exposure))
        case "lot_spread":
            variance = truth**2 + test.assay_cv**2
            return np.asarray(np.log(variance * generator.chisquare(n - 1, truth.size) / (n - 1)))
        case "mean":
            log_sd = np.sqrt(np.log1p(test.unit_cv**2) / n)
            return np.asarray(np.log(truth) + log_sd * generator.standard_normal(truth.size))
