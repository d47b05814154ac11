"""The log-rank test for k groups (Mantel 1966; Peto & Peto 1972, doi:10.2307/2344317)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from cartsight.core.errors import InputError
from cartsight.evidence.survival.kaplan_meier import event_table, number_at_risk
from cartsight.evidence.survival.observations import Float, SurvivalData, pool


@dataclass(frozen=True)
class LogRank:
    """Result of the test: chi-squared, degrees of freedom, p, and observed and expected events per group."""

    chi_squared: float
    degrees_of_freedom: int
    p_value: float
    observed: Float
    expected: Float


def log_rank(groups: Sequence[SurvivalData]) -> LogRank:
    """Test that the groups share one survival curve.

    Parameters
    ----------
    groups : sequence of SurvivalData
        Two or more groups, right censored, possibly left truncated; ties use the hypergeometric variance.

    Raises
    ------
    InputError
        For fewer than two groups or no event in any of them.
    """
    if len(groups) < 2:
        raise InputError("a log-rank test needs at least two groups", found=len(groups))
    everyone = pool(groups)
    table = event_table(everyone)
    if table.time.size == 0:
        raise InputError("a log-rank test needs at least one event")
    d, y = table.events, table.at_risk
    at_risk = np.array([number_at_risk(g, table.time) for g in groups])
    observed = np.array([float(g.weight[g.event].sum()) for g in groups])
    share = at_risk / y
    expected = share @ d
    factor = np.divide(d * (y - d), y - 1, out=np.zeros_like(d), where=y > 1)
    covariance = np.diag(share @ factor) - (share * factor) @ share.T
    difference = (observed - expected)[:-1]
    inner = covariance[:-1, :-1]
    rank = int(np.linalg.matrix_rank(inner))
    statistic = float(difference @ np.linalg.pinv(inner) @ difference)
    return LogRank(statistic, rank, float(chi2.sf(statistic, rank)) if rank else 1.0, observed, expected)
