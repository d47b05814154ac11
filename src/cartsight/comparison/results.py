"""What a comparison gives back: per arm and metric the estimate with its three spreads, and the draws behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.comparison.parameter_draws import ParameterDraws
from cartsight.comparison.sensitivity import OneWaySensitivity
from cartsight.comparison.single_arm import ArmRun
from cartsight.comparison.validation import ValidationResult
from cartsight.scenario import Scenario

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One metric of one arm.

    Attributes
    ----------
    mean : float
        Over parameter draws.
    low, high : float
        2.5 and 97.5 percentile over draws with patient noise taken out: parameter uncertainty.
    patient_sd : float
        Standard deviation between patients; NaN for metrics that no single patient has.
    monte_carlo_error : float
        Standard error of `mean` from finite draws and patients.
    base : float
        At the point values of all parameters.
    """

    mean: float
    low: float
    high: float
    patient_sd: float
    monte_carlo_error: float
    base: float


@dataclass(frozen=True, slots=True)
class DrawTable:
    """Results of every parameter draw.

    Attributes
    ----------
    arms, metrics : tuple of str
    values : array, shape (draws, arms, metrics)
    cost, effect : array, shape (draws, arms)
        Mean discounted cost (of the analysis's perspective) and QALYs per referred patient.
    covariance : array, shape (draws, 2 arms, 2 arms)
        Between patients, of [cost of each arm, QALYs of each arm].
    patient_variance : array, shape (draws, arms, metrics)
        Between the patients in the denominator; NaN for metrics that are no mean over patients.
    patient_count : array, shape (draws, arms, metrics)
        Patients in the denominator.
    patients : array of int, shape (draws,)
        Counted patients.
    """

    arms: tuple[str, ...]
    metrics: tuple[str, ...]
    values: Float
    cost: Float
    effect: Float
    covariance: Float
    patient_variance: Float
    patient_count: Float
    patients: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A finished comparison.

    Attributes
    ----------
    base : dict of str to ArmRun
        Each arm at the point values, patient by patient.
    draws : DrawTable
        As simulated.
    clean_cost, clean_effect : array, shape (draws, arms)
        Draw means with patient noise taken out; the decision analysis rests on them.
    """

    scenario: Scenario
    seed: int
    arms: tuple[str, ...]
    base: dict[str, ArmRun]
    draws: DrawTable
    parameters: ParameterDraws
    clean_cost: Float
    clean_effect: Float
    estimates: dict[str, dict[str, Estimate]]
    economics: dict[str, Any]
    one_way: OneWaySensitivity | None
    validation: tuple[ValidationResult, ...]
    warnings: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)
