"""Equity view: who gains health, and what the gain is worth to somebody who minds inequality.

Health h_g of group g with population share w_g has the equally distributed equivalent (Atkinson 1970,
doi:10.1016/0022-0531(70)90039-6)::

    EDE(eta) = [ sum_g w_g h_g^(1 - eta) ]^(1 / (1 - eta)),    eta = 1: exp( sum_g w_g ln h_g )

the level that, held by everybody, would be as good; eta >= 0 is the stated aversion to inequality and the
Atkinson index is 1 - EDE / mean. The change in EDE between two strategies splits into the change in the mean and
the rest, which is the value of a fairer (or less fair) distribution (distributional cost-effectiveness analysis:
Asaria, Griffin & Cookson 2016, doi:10.1177/0272989X15583266). Aversion in England: median 10.95 (Robson, Asaria,
Cookson, Tsuchiya & Ali 2017, doi:10.1002/hec.3386).

Health is lifetime QALYs by default: QALYs lived before the referral, at the utility of the general population,
plus those the model gives. Counted from referral alone, the old are always the worst off. Health forgone
elsewhere because of the cost is not distributed here: who bears it is not known to a scenario.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.economics.severity import ARA_BRAZIER_2010, PopulationUtility

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

AVERSIONS: tuple[float, ...] = (0.0, 1.0, 5.0, 10.95)
AGE_EDGES: tuple[float, ...] = (50.0, 65.0)
FEWEST_IN_A_GROUP = 20
"""Groups with fewer patients are shown with a remark: their mean says little."""


def equally_distributed_equivalent(health: npt.ArrayLike, weights: npt.ArrayLike, aversion: float) -> float:
    """Return the equally distributed equivalent of the health of groups.

    Parameters
    ----------
    health : array_like, shape (groups,)
        Mean health of each group, above zero.
    weights : array_like, shape (groups,)
        Population shares, not negative; they are normalised.
    aversion : float
        eta of Atkinson, not negative; 0 is the mean.

    Raises
    ------
    InputError
        Health not above zero, weights or aversion negative.
    """
    h = np.asarray(health, dtype=np.float64)
    w = np.asarray(weights, dtype=np.float64)
    if h.ndim != 1 or h.shape != w.shape or h.size == 0:
        raise InputError("every group needs one health and one weight", found=(h.shape, w.shape))
    if not np.all(np.isfinite(h) & (h > 0.0)):
        raise InputError("the health of every group must be above zero", field="health", found=float(h.min()))
    if not (np.all(np.isfinite(w) & (w >= 0.0)) and w.sum() > 0.0):
        raise InputError("weights must not be negative, nor all zero", field="weights", found=w.tolist())
    if not (math.isfinite(aversion) and aversion >= 0.0):
        raise InputError("aversion to inequality must not be negative", field="aversion", found=aversion)
    share = w / w.sum()
    if abs(aversion - 1.0) < 1e-12:
        return float(np.exp(share @ np.log(h)))
    # Powers of ratios: h ** -10 of a large h would underflow, of a small one overflow.
    worst = float(h[share > 0.0].min())
    power = 1.0 - aversion
    return worst * math.pow(float(share @ (h / worst) ** power), 1.0 / power)


def atkinson_index(health: npt.ArrayLike, weights: npt.ArrayLike, aversion: float) -> float:
    """Return 1 - EDE / mean: the share of health that could be given up for an equal distribution."""
    mean = equally_distributed_equivalent(health, weights, 0.0)
    return max(0.0, 1.0 - equally_distributed_equivalent(health, weights, aversion) / mean)


def qalys_before(age: npt.ArrayLike, female: npt.ArrayLike, utility: PopulationUtility = ARA_BRAZIER_2010) -> Float:
    """Return undiscounted QALYs lived up to an age at the utility of the general population, shape (n,)."""
    a = np.asarray(age, dtype=np.float64)
    constant = utility.constant + np.where(np.asarray(female, dtype=np.bool_), 0.0, utility.male)
    return np.asarray(a * (constant + a * (utility.per_year / 2.0 + a * utility.per_year_squared / 3.0)))


def patient_groups(
    region: Int,
    region_names: Sequence[str],
    age: Float,
    female: npt.NDArray[np.bool_],
    age_edges: Sequence[float] = AGE_EDGES,
) -> tuple[tuple[str, ...], Int]:
    """Return the names of the groups region x age x sex, and the group of each patient, shape (n,).

    Raises
    ------
    InputError
        Age limits that do not rise.
    """
    edges = np.asarray(age_edges, dtype=np.float64)
    if edges.size and (not np.all(np.isfinite(edges)) or np.any(np.diff(edges) <= 0.0)):
        raise InputError("age limits must rise", field="age_edges", found=list(age_edges))
    bands = [f"under {edges[0]:g}"] if edges.size else ["all ages"]
    bands += [f"{low:g} to {high:g}" for low, high in pairwise(edges.tolist())]
    bands += [f"{edges[-1]:g} and over"] if edges.size else []
    names = tuple(f"{place}, {band}, {sex}" for place in region_names for band in bands for sex in ("women", "men"))
    band = np.searchsorted(edges, age, side="right")
    code = (np.asarray(region) * len(bands) + band) * 2 + np.where(female, 0, 1)
    return names, np.asarray(code, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class GroupGain:
    """Health of one group under two strategies.

    Attributes
    ----------
    gain, standard_error : float
        Mean gain in QALYs per referred patient of the group, paired by patient, and its Monte Carlo error
        (NaN for one patient).
    share_of_gain : float
        Of all QALYs gained; NaN when none are.
    few : bool
        Fewer than `FEWEST_IN_A_GROUP` patients.
    """

    group: str
    patients: int
    share: float
    reference: float
    arm: float
    gain: float
    standard_error: float
    share_of_gain: float
    few: bool


@dataclass(frozen=True, slots=True)
class EquityAtAversion:
    """Equally distributed equivalents at one aversion.

    Attributes
    ----------
    gain, standard_error : float
        Change of the equally distributed equivalent, and its Monte Carlo standard error (delta method: a gain in group
        g counts w_g (EDE / h_g)^eta).
    from_mean, from_distribution : float
        Its two parts: change of mean health, and of its distribution.
    """

    aversion: float
    reference: float
    arm: float
    gain: float
    standard_error: float
    from_mean: float
    from_distribution: float
    atkinson_reference: float
    atkinson_arm: float


@dataclass(frozen=True, slots=True)
class EquityView:
    """Distribution of health gains over groups."""

    groups: tuple[GroupGain, ...]
    by_aversion: tuple[EquityAtAversion, ...]
    mean_gain: float


def equity_view(
    reference: Float,
    arm: Float,
    names: Sequence[str],
    group: Int,
    *,
    before: Float | None = None,
    aversions: Sequence[float] = AVERSIONS,
) -> EquityView:
    """Return who gains what, and the change of the equally distributed equivalent.

    Parameters
    ----------
    reference, arm : array, shape (n,)
        QALYs of the same patients under both strategies.
    names : sequence of str
    group : array of int, shape (n,)
        Index into `names`; empty groups are left out.
    before : array, shape (n,), optional
        QALYs lived before the referral, added to both: lifetime health.
    aversions : sequence of float
        Values of eta.

    Raises
    ------
    InputError
        Lengths differ, no patients, or a group whose health is not above zero.
    """
    if not (reference.shape == arm.shape == group.shape) or reference.ndim != 1 or reference.size == 0:
        raise InputError("both strategies need the same patients", found=(reference.shape, arm.shape, group.shape))
    if not aversions:
        raise InputError("at least one aversion is needed", field="aversions")
    start = np.zeros(reference.shape) if before is None else before
    total = float((arm - reference).sum())
    rows = []
    for code in np.unique(group):
        of = group == code
        n = int(of.sum())
        difference = (arm - reference)[of]
        rows.append(
            GroupGain(
                group=names[int(code)],
                patients=n,
                share=n / reference.size,
                reference=float((start + reference)[of].mean()),
                arm=float((start + arm)[of].mean()),
                gain=float(difference.mean()),
                standard_error=float(difference.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan,
                share_of_gain=float(difference.sum()) / total if total != 0.0 else math.nan,
                few=n < FEWEST_IN_A_GROUP,
            )
        )
    weights = [row.share for row in rows]
    # A group of one patient takes the spread of all.
    spread = float((arm - reference).std(ddof=1)) if reference.size > 1 else math.nan
    errors = [row.standard_error if row.patients > 1 else spread for row in rows]
    levels = {"reference": [row.reference for row in rows], "arm": [row.arm for row in rows]}
    mean_gain = total / reference.size
    found = []
    for aversion in aversions:
        ede = {key: equally_distributed_equivalent(h, weights, aversion) for key, h in levels.items()}
        gain = ede["arm"] - ede["reference"]
        found.append(
            EquityAtAversion(
                aversion=float(aversion),
                reference=ede["reference"],
                arm=ede["arm"],
                gain=gain,
                standard_error=_gain_error(levels["reference"], weights, errors, ede["reference"], aversion),
                from_mean=mean_gain,
                from_distribution=gain - mean_gain,
                atkinson_reference=atkinson_index(levels["reference"], weights, aversion),
                atkinson_arm=atkinson_index(levels["arm"], weights, aversion),
            )
        )
    return EquityView(tuple(rows), tuple(found), mean_gain)


def _gain_error(
    health: Sequence[float], weights: Sequence[float], errors: Sequence[float], equivalent: float, aversion: float
) -> float:
    values = (
        share * (equivalent / level) ** aversion * error
        for level, share, error in zip(health, weights, errors, strict=True)
    )
    return math.hypot(*values)
