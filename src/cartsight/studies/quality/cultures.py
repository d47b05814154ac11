"""Simulated T cell cultures and what sensors see of them: growth, glucose, lactate, oxygen, capacitance, Raman spectra.

A stand-in for data nobody has published: logistic growth with a donor's rate, consumption in proportion to the cells, and a
sensor error each. Failures are too few cells at harvest, and causes that no in-line signal shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.evidence.quality.process_analytics import cross_validate
from cartsight.evidence.quality.process_analytics.partial_least_squares import standard_normal_variate

Float = npt.NDArray[np.float64]

DAYS = (1, 2, 3, 4)
HARVEST_DAY = 7.0
START, CAPACITY, TARGET = 0.5, 60.0, 7.0
RATE, RATE_SD = 0.52, 0.085
UNSEEN_FAILURES = 0.03
SENSOR_ERROR = {"glucose": 0.05, "lactate": 0.05, "dissolved oxygen": 0.15, "capacitance": 0.08}
CHANNELS = 60


@dataclass(frozen=True)
class Cultures:
    """Cultures with what the sensors report by day 4.

    Attributes
    ----------
    signals : dict of arrays, shape (n, days)
    failed : array of bool, shape (n,)
    seen_cause : array of bool, shape (n,)
        Failed for too few cells.
    harvest_day : array, shape (n,)
        Day on which the target number of cells is reached.
    raman_error : dict
        Cross-validated relative error of glucose and lactate from spectra.
    """

    signals: dict[str, Float]
    failed: npt.NDArray[np.bool_]
    seen_cause: npt.NDArray[np.bool_]
    harvest_day: Float
    raman_error: dict[str, float]


def simulate_cultures(count: int, seed: int) -> Cultures:
    """Return `count` cultures of as many donors."""
    rng = np.random.default_rng(seed)
    rate = np.maximum(rng.normal(RATE, RATE_SD, count), 0.15)
    start = START * np.exp(0.15 * rng.normal(size=count))
    appetite = np.exp(0.15 * rng.normal(size=count))
    day = np.asarray(DAYS, dtype=np.float64)

    def cells(t: Float) -> Float:
        grown = start[:, None] * np.exp(rate[:, None] * t)
        return np.asarray(grown / (1.0 + grown / CAPACITY))

    size = cells(day)
    eaten = np.column_stack([cells(np.linspace(0.0, d, 25)).mean(axis=1) * d for d in day]) * appetite[:, None]
    glucose, lactate = np.maximum(20.0 - 0.9 * eaten, 0.5), 1.5 * eaten
    truth = {"glucose": glucose, "lactate": lactate, "dissolved oxygen": size, "capacitance": size}
    signals = {name: np.log(truth[name]) + error * rng.normal(size=size.shape) for name, error in SENSOR_ERROR.items()}
    signals["Raman spectra"], errors = _raman(glucose, lactate, size, rng)
    final = cells(np.array([HARVEST_DAY]))[:, 0] * np.exp(0.1 * rng.normal(size=count))
    seen = final < TARGET
    failed = seen | (rng.random(count) < UNSEEN_FAILURES)
    # logistic growth reaches the target where start exp(rate t) = target / (1 - target / capacity)
    reached = np.log(TARGET / (1.0 - TARGET / CAPACITY) / start) / rate
    return Cultures(signals, failed, seen, reached, errors)


def _raman(glucose: Float, lactate: Float, size: Float, rng: np.random.Generator) -> tuple[Float, dict[str, float]]:
    """Return cross-validated predictions of glucose and lactate from overlapping bands on a fluorescent base line."""
    axis = np.linspace(0.0, 1.0, CHANNELS)
    bands = [np.exp(-((axis - place) ** 2) / (2 * 0.03**2)) for place in (0.35, 0.42, 0.7)]
    n, days = glucose.shape
    amounts = [glucose.ravel() / 20.0, lactate.ravel() / 20.0, size.ravel() / 10.0]
    spectra = np.sum([np.outer(a, band) for a, band in zip(amounts, bands, strict=True)], axis=0)
    base = np.exp(0.3 * rng.normal(size=(n * days, 1))) * np.exp(-axis)
    spectra = standard_normal_variate(spectra + 2.0 * base + 0.02 * rng.normal(size=spectra.shape))
    batch = np.repeat(np.arange(n), days)
    found, errors = [], {}
    for name, amount in (("glucose", glucose.ravel()), ("lactate", lactate.ravel())):
        fit = cross_validate(spectra, amount, batch, most_components=6, count=5, scale=False, seed=1)
        found.append(np.log(np.maximum(fit.predicted, 0.1)).reshape(n, days))
        errors[name] = fit.error / float(amount.mean())
    return np.column_stack(found), errors
