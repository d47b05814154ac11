"""EVPPI of 20 parameters from 10 000 draws and three arms, beside plain cubic least squares.

Run ``python benchmarks/evppi.py``. Both estimators see the same draws in the same run; the table shows
seconds, the ratio, and the root mean square error against the closed form (normal difference of two arms).
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from cartsight.comparison import partial_information_by_parameter, unit_cube_design

Float = npt.NDArray[np.float64]

DRAWS, PARAMETERS, WTP = 10_000, 20, 50_000.0
MEAN, NOISE = 300.0, 1_000.0
GRID = np.arange(0.0, 300_001.0, 5_000.0)


def closed_form(slope: float) -> float:
    if slope == 0.0:
        return 0.0
    a = MEAN / slope
    return float(slope * (norm.pdf(a) - a * norm.sf(a)))


def cubic_least_squares(costs: Float, effects: Float, x: Float, grid: Float) -> Float:
    """Return EVPPI by an ordinary cubic regression of incremental net benefit at every threshold."""
    design = np.vander(x, 4)
    values = np.empty(grid.size)
    for row, threshold in enumerate(grid):
        benefit = threshold * effects - costs
        increments = benefit[:, 1:] - benefit[:, [0]]
        fitted = design @ np.linalg.lstsq(design, increments, rcond=None)[0]
        values[row] = np.maximum(fitted.max(axis=1), 0.0).mean() - max(float(fitted.mean(axis=0).max()), 0.0)
    return values


def main() -> None:
    x = norm.ppf(unit_cube_design(DRAWS, PARAMETERS + 1, method="random", seed=7))
    slopes = np.linspace(0.0, 2_000.0, PARAMETERS)
    incremental = MEAN + x[:, :PARAMETERS] @ slopes + NOISE * x[:, -1]
    effects = np.column_stack([np.zeros(DRAWS), incremental / WTP, np.full(DRAWS, -1.0)])
    costs = np.zeros_like(effects)
    truth = np.array([closed_form(float(s)) for s in slopes])
    at = int(np.searchsorted(GRID, WTP))

    start = time.perf_counter()
    ours = partial_information_by_parameter(costs, effects, {f"x{i}": x[:, i] for i in range(PARAMETERS)}, GRID)
    our_seconds = time.perf_counter() - start
    our_values = np.array([item.value[at] for item in ours.values()])

    start = time.perf_counter()
    peer_values = np.array([cubic_least_squares(costs, effects, x[:, i], GRID)[at] for i in range(PARAMETERS)])
    peer_seconds = time.perf_counter() - start

    print(f"{DRAWS:,} draws, {PARAMETERS} parameters, 3 arms, {GRID.size} thresholds")
    print(f"{'':32}{'seconds':>10}{'rmse':>10}")
    for name, seconds, values in (
        ("cartsight, with standard errors", our_seconds, our_values),
        ("cubic least squares, without", peer_seconds, peer_values),
    ):
        print(f"{name:32}{seconds:10.2f}{np.sqrt(np.mean((values - truth) ** 2)):10.1f}")
    print(f"{'ratio of times':32}{our_seconds / peer_seconds:10.2f}")
    print(f"mean stated standard error {np.mean([item.standard_error[at] for item in ours.values()]):.1f}")


if __name__ == "__main__":
    main()
