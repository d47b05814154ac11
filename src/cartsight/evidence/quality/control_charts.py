"""Control charts: Shewhart (individuals, means), EWMA, CUSUM, and Westgard's rules.

Every chart says how often it would signal on a stable process and how fast it sees a shift of one sd. Stacked
rules signal more often than each alone; their run lengths are simulated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from cartsight.core.errors import InputError
from cartsight.evidence.quality.run_length import (
    cusum_average_run_length,
    ewma_average_run_length,
    individuals_and_range_average_run_length,
    shewhart_average_run_length,
)

Float = npt.NDArray[np.float64]

D2_OF_TWO = 1.1283791670955126
D4_OF_TWO = 3.2665


@dataclass(frozen=True)
class Signal:
    """One signal: point (1 = first), its value, the plotted statistic, the rule, and whether it only
    warns."""

    index: int
    value: float
    statistic: float
    rule: str
    warning_only: bool = False


@dataclass(frozen=True)
class RunLength:
    """Average run length at a shift in sd; `standard_error` is 0 where it is computed and not simulated."""

    shift: float
    average_run_length: float
    standard_error: float = 0.0


@dataclass(frozen=True)
class ControlChart:
    """One chart. `statistic` is what is plotted; a CUSUM has the lower sum in `second_statistic`."""

    chart: str
    n: int
    centre: float
    centre_source: str
    sigma: float
    sigma_source: str
    lower_limit: float
    upper_limit: float
    statistic: tuple[float, ...]
    second_statistic: tuple[float, ...]
    signals: tuple[Signal, ...]
    run_lengths: tuple[RunLength, ...]
    settings: dict[str, float]
    warnings: tuple[str, ...]

    @property
    def in_control(self) -> bool:
        """Whether nothing but warnings was signalled."""
        return all(signal.warning_only for signal in self.signals)


def moving_range_sigma(values: Float) -> float:
    """Return the sd from the mean moving range of two (divided by d2 = 1.128).

    Raises
    ------
    InputError
        Fewer than two values, or no variation.
    """
    if len(values) < 2:
        raise InputError("groups of one: a moving range needs at least two values", found=len(values))
    sigma = float(np.abs(np.diff(values)).mean()) / D2_OF_TWO
    if sigma == 0:
        raise InputError("zero variance: successive values are equal", hint="Give --sigma from a longer record.")
    return sigma


def _settle(values: Float, centre: float | None, sigma: float | None) -> tuple[float, str, float, str, list[str]]:
    if sigma is not None and not sigma > 0:
        raise InputError("sigma must be above zero", found=sigma)
    warnings = []
    if centre is None:
        centre, centre_source = float(values.mean()), "mean of these values"
        warnings.append("the centre is estimated from the values it judges; give a target from a stable record")
    else:
        centre_source = "given"
    if sigma is None:
        sigma, sigma_source = moving_range_sigma(values), "moving range of these values"
        if len(values) < 20:
            warnings.append(f"sigma from {len(values)} values is uncertain: false alarms may be far from nominal")
    else:
        sigma_source = "given"
    return centre, centre_source, sigma, sigma_source, warnings


def individuals_chart(
    values: Float, *, centre: float | None = None, sigma: float | None = None, width: float = 3.0
) -> ControlChart:
    """Return an individuals and moving-range chart; range signals carry the rule ``moving range``.

    `run_lengths` are those of the limits of the values; `settings` has the run lengths of both charts together.
    """
    mu, mu_source, sd, sd_source, warnings = _settle(values, centre, sigma)
    low, high = mu - width * sd, mu + width * sd
    signals = [
        Signal(i + 1, float(x), float(x), f"beyond {width:g} sigma")
        for i, x in enumerate(values)
        if not low <= x <= high
    ]
    ranges = np.append(np.nan, np.abs(np.diff(values)))
    limit = D4_OF_TWO * D2_OF_TWO * sd
    signals += [
        Signal(i + 1, float(values[i]), float(ranges[i]), "moving range")
        for i in range(1, len(values))
        if ranges[i] > limit
    ]
    both = {
        shift: individuals_and_range_average_run_length(width, D4_OF_TWO * D2_OF_TWO, shift) for shift in (0.0, 1.0)
    }
    warnings.append(
        f"with the moving range beside it a stable process signals about every {both[0.0]:.0f} points (the limits of the values "
        f"alone: every {shewhart_average_run_length(width):.0f})"
    )
    return ControlChart(
        "individuals",
        len(values),
        mu,
        mu_source,
        sd,
        sd_source,
        low,
        high,
        tuple(float(x) for x in values),
        tuple(float(x) for x in ranges),
        tuple(sorted(signals, key=lambda signal: signal.index)),
        _shewhart_run_lengths(width, 1),
        {
            "width": width,
            "moving_range_limit": limit,
            "run_length_with_moving_range": both[0.0],
            "run_length_with_moving_range_at_1_sd": both[1.0],
        },
        tuple(warnings),
    )


def _shewhart_run_lengths(width: float, size: int) -> tuple[RunLength, ...]:
    return tuple(
        RunLength(shift, shewhart_average_run_length(width, shift * math.sqrt(size))) for shift in (0.0, 0.5, 1.0, 2.0)
    )


def means_chart(
    values: Float,
    subgroups: Sequence[str],
    *,
    centre: float | None = None,
    sigma: float | None = None,
    width: float = 3.0,
) -> ControlChart:
    """Return a chart of subgroup means with limits from the pooled sd within subgroups (all of one size).

    Raises
    ------
    InputError
        Subgroups of one, of different sizes, or without variation.
    """
    names = list(dict.fromkeys(subgroups))
    labels = np.array(subgroups)
    groups = [values[labels == name] for name in names]
    sizes = {len(group) for group in groups}
    if sizes == {1}:
        raise InputError("groups of one: subgroups hold one value each", hint="Use --chart individuals.")
    if len(sizes) > 1:
        raise InputError(
            "subgroups of different sizes need different limits",
            found=sorted(sizes),
            hint="Use subgroups of one size.",
        )
    size = sizes.pop()
    warnings = []
    means = np.array([float(group.mean()) for group in groups])
    mu, mu_source = (float(means.mean()), "mean of these values") if centre is None else (centre, "given")
    if sigma is None:
        within = math.sqrt(float(np.mean([group.var(ddof=1) for group in groups])))
        df = len(groups) * (size - 1)
        c4 = math.sqrt(2 / df) * math.exp(special.gammaln((df + 1) / 2) - special.gammaln(df / 2))
        sigma, sd_source = within / c4, "pooled within subgroups"
        if sigma == 0:
            raise InputError("zero variance within the subgroups")
        if len(groups) > 2 and float(means.std(ddof=1)) > 2 * sigma / math.sqrt(size):
            warnings.append(
                "means vary more than the spread within subgroups explains: the subgroups differ by "
                "nature (donors?), and a "
                "chart of means will signal all the time; chart the means as individuals"
            )
    else:
        sd_source = "given"
    half = width * sigma / math.sqrt(size)
    signals = tuple(
        Signal(i + 1, float(m), float(m), f"beyond {width:g} sigma") for i, m in enumerate(means) if abs(m - mu) > half
    )
    return ControlChart(
        "means",
        len(means),
        mu,
        mu_source,
        sigma,
        sd_source,
        mu - half,
        mu + half,
        tuple(float(m) for m in means),
        tuple(float(group.std(ddof=1)) for group in groups),
        signals,
        _shewhart_run_lengths(width, size),
        {"width": width, "subgroup_size": float(size)},
        tuple(warnings),
    )


def ewma_chart(
    values: Float,
    *,
    centre: float | None = None,
    sigma: float | None = None,
    weight: float = 0.2,
    width: float = 3.0,
    exact_limits: bool = False,
) -> ControlChart:
    """Return an exponentially weighted moving average chart (Roberts 1959).

    Parameters
    ----------
    weight : float
        Weight of the newest value (lambda).
    width : float
        Limits in sd of the statistic.
    exact_limits : bool
        Limits that widen over the first points; `lower_limit` and `upper_limit` are the asymptotic ones
        either way.
    """
    if not 0 < weight <= 1:
        raise InputError("lambda must lie between 0 and 1", found=weight)
    if not width > 0:
        raise InputError("the width must be above zero", found=width)
    mu, mu_source, sd, sd_source, warnings = _settle(values, centre, sigma)
    statistic = np.empty(len(values))
    previous = mu
    for i, x in enumerate(values):
        previous = weight * float(x) + (1 - weight) * previous
        statistic[i] = previous
    half = width * sd * math.sqrt(weight / (2 - weight))
    steps = np.arange(1, len(values) + 1)
    limits = half * np.sqrt(1 - (1 - weight) ** (2 * steps)) if exact_limits else np.full(len(values), half)
    signals = tuple(
        Signal(i + 1, float(values[i]), float(z), "EWMA beyond its limit")
        for i, z in enumerate(statistic)
        if abs(z - mu) > limits[i]
    )
    if exact_limits:
        warnings.append("run lengths are those of the constant limits; limits that widen signal sooner at the start")
    run_lengths = tuple(
        RunLength(shift, ewma_average_run_length(weight, width, shift)) for shift in (0.0, 0.5, 1.0, 2.0)
    )
    return ControlChart(
        "ewma",
        len(values),
        mu,
        mu_source,
        sd,
        sd_source,
        mu - half,
        mu + half,
        tuple(float(z) for z in statistic),
        (),
        signals,
        run_lengths,
        {"lambda": weight, "width": width},
        tuple(warnings),
    )


def cusum_chart(
    values: Float,
    *,
    centre: float | None = None,
    sigma: float | None = None,
    k: float = 0.5,
    h: float = 5.0,
    data_units: bool = False,
) -> ControlChart:
    """Return a two-sided tabular CUSUM (Page 1954).

    Parameters
    ----------
    k, h : float
        Reference value and decision interval, in sigma, or in the units of the data when `data_units`.
    data_units : bool
        Then sigma is used for the run lengths alone.
    """
    if not (k >= 0 and h > 0):
        raise InputError("a CUSUM needs k >= 0 and h > 0", found=(k, h))
    mu, mu_source, sd, sd_source, warnings = _settle(values, centre, sigma)
    scale = 1.0 if data_units else sd
    allowance, decision = k * scale, h * scale
    high, low = np.zeros(len(values)), np.zeros(len(values))
    up = down = 0.0
    for i, x in enumerate(values):
        up = max(0.0, up + float(x) - mu - allowance)
        down = max(0.0, down + mu - float(x) - allowance)
        high[i], low[i] = up, down
    signals = [Signal(i + 1, float(values[i]), float(s), "upper sum") for i, s in enumerate(high) if s > decision]
    signals += [Signal(i + 1, float(values[i]), float(s), "lower sum") for i, s in enumerate(low) if s > decision]
    run_lengths = tuple(
        RunLength(shift, cusum_average_run_length(allowance / sd, decision / sd, shift))
        for shift in (0.0, 0.5, 1.0, 2.0)
    )
    return ControlChart(
        "cusum",
        len(values),
        mu,
        mu_source,
        sd,
        sd_source,
        -decision,
        decision,
        tuple(float(s) for s in high),
        tuple(float(s) for s in low),
        tuple(sorted(signals, key=lambda signal: signal.index)),
        run_lengths,
        {"k": allowance, "h": decision},
        tuple(warnings),
    )


WESTGARD_RULES = ("1-2s", "1-3s", "2-2s", "R-4s", "4-1s", "10-x")


def westgard_flags(z: Float, rules: Sequence[str] = WESTGARD_RULES) -> list[tuple[int, str]]:
    """Return (point, rule) for each violation in a series of z scores, points counted from 0.

    1-2s only warns. R-4s: two successive values on opposite sides, both beyond 2 sd (Westgard et al. 1981,
    doi:10.1093/clinchem/27.3.493).
    """
    found = []
    for i in range(len(z)):
        if "1-2s" in rules and abs(z[i]) > 2:
            found.append((i, "1-2s"))
        if "1-3s" in rules and abs(z[i]) > 3:
            found.append((i, "1-3s"))
        if "2-2s" in rules and i >= 1 and (min(z[i - 1 : i + 1]) > 2 or max(z[i - 1 : i + 1]) < -2):
            found.append((i, "2-2s"))
        if "R-4s" in rules and i >= 1 and max(z[i - 1 : i + 1]) > 2 and min(z[i - 1 : i + 1]) < -2:
            found.append((i, "R-4s"))
        if "4-1s" in rules and i >= 3 and (min(z[i - 3 : i + 1]) > 1 or max(z[i - 3 : i + 1]) < -1):
            found.append((i, "4-1s"))
        if "10-x" in rules and i >= 9 and (min(z[i - 9 : i + 1]) > 0 or max(z[i - 9 : i + 1]) < 0):
            found.append((i, "10-x"))
    return found


def westgard_run_length(
    shift: float = 0.0, *, rules: Sequence[str] = WESTGARD_RULES[1:], seed: int = 1, runs: int = 4000
) -> RunLength:
    """Return the simulated average run length of stacked Westgard rules on independent normal values."""
    rng = np.random.Generator(np.random.Philox(key=[seed, round(1000 * shift) & 0xFFFF]))
    lengths = np.zeros(runs)
    alive = np.arange(runs)
    window = np.zeros((runs, 10))
    step = 0
    while len(alive) and step < 100_000:
        step += 1
        window = np.column_stack([window[:, 1:], rng.standard_normal(len(alive)) + shift])
        last, before = window[:, -1], window[:, -2]
        stop = np.abs(last) > 3 if "1-3s" in rules else np.zeros(len(alive), dtype=bool)
        pair_low, pair_high = np.minimum(last, before), np.maximum(last, before)
        if "2-2s" in rules:
            stop |= (pair_low > 2) | (pair_high < -2)
        if "R-4s" in rules:
            stop |= (pair_high > 2) & (pair_low < -2)
        # the window starts at zero, which breaks every run
        if "4-1s" in rules:
            stop |= (window[:, -4:].min(axis=1) > 1) | (window[:, -4:].max(axis=1) < -1)
        if "10-x" in rules:
            stop |= (window.min(axis=1) > 0) | (window.max(axis=1) < 0)
        lengths[alive[stop]] = step
        alive, window = alive[~stop], window[~stop]
    return RunLength(shift, float(lengths.mean()), float(lengths.std(ddof=1)) / math.sqrt(runs))


def westgard_chart(
    values: Float, *, centre: float | None = None, sigma: float | None = None, seed: int = 1
) -> ControlChart:
    """Return a Levey-Jennings chart judged by Westgard's rules, with the run length of the stack."""
    mu, mu_source, sd, sd_source, warnings = _settle(values, centre, sigma)
    z = (values - mu) / sd
    signals = tuple(Signal(i + 1, float(values[i]), float(z[i]), rule, rule == "1-2s") for i, rule in westgard_flags(z))
    run_lengths = tuple(westgard_run_length(shift, seed=seed) for shift in (0.0, 1.0, 2.0))
    warnings.append(
        f"the stacked rules signal falsely about every {run_lengths[0].average_run_length:.0f} points "
        f"(1-3s alone: every {shewhart_average_run_length():.0f})"
    )
    return ControlChart(
        "westgard",
        len(values),
        mu,
        mu_source,
        sd,
        sd_source,
        mu - 3 * sd,
        mu + 3 * sd,
        tuple(float(v) for v in z),
        (),
        signals,
        run_lengths,
        {},
        tuple(warnings),
    )
