"""Response after infusion: complete, partial or none, from one uniform per patient under proportional odds.

The scenario's response shares are those of an in-specification product in patients who have not worsened,
averaged over lots. Worsening, an out-of-specification product, the lot and a second course each shift the
log-odds of complete and of overall response alike (proportional odds, McCullagh 1980,
doi:10.1111/j.2517-6161.1980.tb01109.x), so the order complete before partial before none is kept for every
patient. The lot effect has mean zero on the log-odds; the intercepts are moved so that the average over lots
stays at the stated share.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cartsight.core.logit_normal import logit_normal_intercept
from cartsight.scenario.arms import AutologousArm, InVivoArm, ProductArm
from cartsight.simulation.pathways.trajectory import Trajectories

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

NO_RESPONSE, PARTIAL_RESPONSE, COMPLETE_RESPONSE = 0, 1, 2

CERTAIN = 500.0
"""Log-odds that stand for a probability of one; shifts of this size are larger than any odds ratio."""
NEVER = 2.0 * CERTAIN


def log_odds_ratio(odds_ratio: float) -> float:
    """Return the log of an odds ratio; zero becomes a shift that no intercept outweighs."""
    return math.log(odds_ratio) if odds_ratio > 0.0 else -NEVER


def response_intercepts(arm: ProductArm) -> tuple[float, float]:
    """Return the log-odds of complete and of overall response that keep the stated averages over lots."""
    sd = 0.0 if isinstance(arm, AutologousArm) else arm.lots.response_sd
    complete = float(logit_normal_intercept(arm.efficacy.complete_response.x, sd))
    overall = float(logit_normal_intercept(arm.efficacy.overall_response.x, sd))
    return min(max(complete, -CERTAIN), CERTAIN), min(max(overall, -CERTAIN), CERTAIN)


def response_shift(arm: ProductArm, trajectories: Trajectories, rows: Int) -> Float:
    """Return the shift of the log-odds of response of some patients, shape (len(rows),)."""
    effect = log_odds_ratio(arm.efficacy.odds_ratio_if_worsened.x)
    shift = trajectories.lot_effect[rows] + effect * trajectories.worsened[rows]
    if isinstance(arm, AutologousArm):
        effect = log_odds_ratio(arm.process.odds_ratio_response_out_of_specification.x)
        shift = shift + effect * trajectories.out_of_specification[rows]
    return shift


def responses(
    log_odds_of_uniform: Float, shift: Float | float, intercepts: tuple[float, float], able: Bool
) -> npt.NDArray[np.int8]:
    """Return 0 none, 1 partial, 2 complete per patient.

    Parameters
    ----------
    log_odds_of_uniform : array, shape (n,)
        ln(u / (1 - u)); the patient responds when it lies below the patient's own log-odds of response.
    shift : float or array, shape (n,)
    intercepts : (complete, overall)
    able : bool array, shape (n,)
        False where no CAR is expressed, which excludes a response.
    """
    mine = log_odds_of_uniform - shift
    overall = (mine < intercepts[1]) & able
    complete = (mine < intercepts[0]) & able
    return overall.astype(np.int8) + (complete & overall)


def expressed_at_second_course(arm: ProductArm, uniform: Float) -> Bool:
    """Return whether a second course takes: always for cells made outside the body."""
    if isinstance(arm, InVivoArm):
        return np.asarray(uniform < arm.expression.x)
    return np.ones(uniform.shape, dtype=np.bool_)
