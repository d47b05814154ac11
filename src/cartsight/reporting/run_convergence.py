"""Convergence of the uncertainty analysis of a finished run, read from its table of draws."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.comparison.convergence import checkpoints, decision_convergence, draws_needed, running_mean
from cartsight.core.errors import InputError
from cartsight.reporting.run_folder import read_results

Float = npt.NDArray[np.float64]

CHECKPOINTS = 25
CHANCE_OF_WRONG_ARM = 0.025
"""Chance of naming the wrong arm that `draws_needed` aims at: the margin is then 1.96 standard errors."""
_COLUMNS = ("draw", "arm", "cost_without_patient_noise", "qalys_without_patient_noise")


def run_convergence(run_folder: Path, *, wtp: float | None = None) -> dict[str, Any]:
    """Return running means, the margin between the two best arms and the value of perfect information by draws.

    Parameters
    ----------
    run_folder : Path
        Written by `compare`.
    wtp : float, optional
        Willingness to pay; the scenario's threshold by default.

    Returns
    -------
    dict
        ``draws``, ``wtp``, ``arms`` (running mean cost, QALYs and probability of being best), ``margin``,
        ``chance_of_wrong_arm``, ``stable_since``, ``draws_needed``, ``evpi``.

    Raises
    ------
    InputError
        No run folder, a run without draws, a table that cannot be read or does not fit the results.
    """
    document = read_results(run_folder)
    if wtp is not None and not (math.isfinite(wtp) and wtp >= 0.0):
        raise InputError("willingness to pay must not be negative", field="--wtp", found=wtp)
    arms = [arm["name"] for arm in document["arms"]]
    if len(arms) < 2:
        raise InputError("convergence of a decision needs at least two arms", file=run_folder, found=arms)
    cost, effect = _read_draws(run_folder, arms)
    threshold = float(document["analysis"]["decision_threshold"]) if wtp is None else wtp
    decision = decision_convergence(cost, effect, threshold, count=CHECKPOINTS)
    benefit = threshold * effect - cost
    order = np.argsort(-benefit.mean(axis=0), kind="stable")
    best, second = int(order[0]), int(order[1])
    margin = running_mean(benefit[:, best] - benefit[:, second], count=CHECKPOINTS)
    at = checkpoints(benefit.shape[0], CHECKPOINTS)
    total = np.cumsum(benefit, axis=0)[at - 1] / at[:, None]
    evpi = np.cumsum(benefit.max(axis=1))[at - 1] / at - total.max(axis=1)
    return {
        "scenario": document["scenario"]["name"],
        "draws": int(benefit.shape[0]),
        "sampling": document["analysis"]["sampling"],
        "wtp": threshold,
        "money": document["analysis"]["money"],
        "checkpoints": at,
        "arms": [
            {
                "arm": name,
                "cost": _running(cost[:, a]),
                "qalys": _running(effect[:, a]),
                "probability_best": decision.probability_best[:, a],
            }
            for a, name in enumerate(arms)
        ],
        "best": arms[best],
        "second": arms[second],
        "margin": {
            "mean": margin.mean,
            "standard_error": margin.standard_error,
            "low": margin.low,
            "high": margin.high,
        },
        "margin_after_all_draws": decision.margin,
        "margin_standard_error": decision.margin_standard_error,
        "chance_of_wrong_arm": decision.chance_of_wrong_arm,
        "stable_since": decision.stable_since,
        "draws_needed": _needed(benefit[:, best] - benefit[:, second]),
        "evpi": evpi,
    }


def _running(values: Float) -> dict[str, Any]:
    running = running_mean(values, count=CHECKPOINTS)
    return {"mean": running.mean, "standard_error": running.standard_error}


def _needed(difference: Float) -> int | None:
    """Return independent draws after which the margin is 1.96 standard errors; None when there is no margin."""
    margin = abs(float(difference.mean()))
    if margin == 0.0:
        return None
    return draws_needed(difference, standard_error=margin / 1.959963984540054)


def _read_draws(run_folder: Path, arms: list[str]) -> tuple[Float, Float]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run_folder / "tables" / "draw_results.parquet"
    if not path.is_file():
        raise InputError(
            "this run has no table of draws",
            file=run_folder,
            hint="`cartsight compare` makes one; `cartsight run` does not.",
        )
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", file=path) from None
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise InputError("a column is missing", file=path, found=missing[0], allowed=", ".join(_COLUMNS))
    names = np.asarray(table["arm"].to_pylist(), dtype=object)
    draw = table["draw"].to_numpy()
    results = []
    for column in _COLUMNS[2:]:
        values = table[column].to_numpy(zero_copy_only=False).astype(np.float64)
        by_arm = [values[names == arm][np.argsort(draw[names == arm], kind="stable")] for arm in arms]
        if len({part.size for part in by_arm}) != 1 or by_arm[0].size < 2 or len(arms) * by_arm[0].size != values.size:
            raise InputError(
                "the table of draws does not fit the arms of the results, or has fewer than two draws", file=path
            )
        stacked = np.stack(by_arm, axis=1)
        if not np.all(np.isfinite(stacked)):
            raise InputError("a draw without a finite value", file=path, field=column)
        results.append(stacked)
    return results[0], results[1]
