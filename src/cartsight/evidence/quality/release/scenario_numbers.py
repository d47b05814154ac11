"""A release specification as numbers of a scenario: condensed from generated lots, with what is not known of it.

Uncertainty is that of the specification's own numbers, where ``[uncertainty]`` says what they were estimated from,
together with the Monte Carlo error of the generated lots. Each number is drawn by itself: the correlation between, for
example, the share out of specification and the patient effect is not carried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cartsight.evidence.quality.estimated_number import (
    EstimatedNumber,
    estimated_effect,
    estimated_positive,
    estimated_share,
)
from cartsight.evidence.quality.release.calibration import pathway_numbers
from cartsight.evidence.quality.release.lot_numbers import lot_numbers
from cartsight.evidence.quality.release.specification import ReleaseSpecification
from cartsight.evidence.quality.release.uncertainty import draw_specification

Float = npt.NDArray[np.float64]
Numbers = dict[str, EstimatedNumber | dict[str, EstimatedNumber]]
Condensed = TypeVar("Condensed")
LOTS_PER_DRAW = 4000
BATCH_COST, LOT_COST = "quality_control_per_batch", "quality_control_per_lot"
"""Numbers that belong to the `costs` of an arm; all others to its `process` or `lots`."""


def autologous_numbers(
    specification: ReleaseSpecification,
    *,
    name: str = "release specification",
    laws: Mapping[str, Callable[[Float], Float]] | None = None,
) -> Numbers:
    """Return what an autologous arm takes from a specification, by the name of its field.

    Parameters
    ----------
    specification : ReleaseSpecification
    name : str
        How the statement of origin calls it.
    laws : mapping of str to callable, optional
        Quantile functions of covariates that the scenario's patients bring; see `pathway_numbers`.

    Notes
    -----
    Left out, so that the scenario states them: `manufacturing_failure` without `process.termination_probability`,
    `infuse_out_of_specification` without `disposition.use_out_of_specification`, `out_of_specification_approval` without
    `disposition.approval_days`, `odds_ratio_if_worsened` without a covariate called `worsened`, the cost without `money`.
    """
    found = pathway_numbers(specification, laws=laws)
    drawn = _drawn(specification, lambda s: pathway_numbers(s, lots=LOTS_PER_DRAW, laws=laws))
    text = _statement(specification, name, found.lots, found.seed, len(drawn))
    finished = max(round(found.lots * (1.0 - found.manufacturing_failure)), 1)
    numbers: Numbers = {
        "out_of_specification": estimated_share(
            found.out_of_specification, finished, text, [d.out_of_specification for d in drawn], LOTS_PER_DRAW
        ),
        "patient_sd": estimated_positive(
            found.patient_sd, found.patient_sd_standard_error, "log_odds", text, [d.patient_sd for d in drawn]
        ),
    }
    if "process.termination_probability" in specification.stated:
        numbers["manufacturing_failure"] = estimated_share(
            found.manufacturing_failure, found.lots, text, [d.manufacturing_failure for d in drawn], LOTS_PER_DRAW
        )
    if not math.isnan(found.odds_ratio_if_worsened):
        numbers["odds_ratio_if_worsened"] = estimated_positive(
            found.odds_ratio_if_worsened,
            found.odds_ratio_if_worsened * found.odds_ratio_standard_error,
            "odds_ratio",
            text,
            [d.odds_ratio_if_worsened for d in drawn],
        )
    if "disposition.use_out_of_specification" in specification.stated:
        # of failures: as many stand behind it as failed, and a policy holds whatever the variances are
        numbers["infuse_out_of_specification"] = estimated_share(
            found.infuse_out_of_specification,
            max(found.failures, 1),
            text,
            [d.infuse_out_of_specification for d in drawn],
            max(round(LOTS_PER_DRAW * found.out_of_specification), 1),
        )
    if "disposition.approval_days" in specification.stated:
        numbers["out_of_specification_approval"] = _stated(specification.disposition.approval_days, "days", text)
    _add_days(numbers, found.release_testing_days_mean, found.release_testing_days_sd, text)
    if specification.process.remake_wait_days > 0:
        numbers["remake_wait"] = _stated(specification.process.remake_wait_days, "days", text)
    if specification.money is not None and found.cost_of_testing > 0.0:
        numbers[BATCH_COST] = _stated(found.cost_of_testing, f"{specification.money}/batch", text)
    if found.effects:
        numbers["failure_log_odds"] = {
            covariate: estimated_effect(slope, "log_odds", text, [d.effects.get(covariate, 0.0) for d in drawn])
            for covariate, slope in found.effects.items()
        }
    return numbers


def numbers_of_lots(specification: ReleaseSpecification, *, name: str = "release specification") -> Numbers:
    """Return what the `lots` of an allogeneic or in vivo arm take from a specification, by the name of their field.

    Doses per lot and how they differ come along where the specification states `sampling.dose_attribute` and
    `sampling.amount_per_dose`.
    """
    found = lot_numbers(specification)
    drawn = _drawn(specification, lambda s: lot_numbers(s, lots=LOTS_PER_DRAW))
    text = _statement(specification, name, found.lots, found.seed, len(drawn))
    finished = max(round(found.lots * (1.0 - found.failure)), 1)
    numbers: Numbers = {
        "rejection": estimated_share(found.rejection, finished, text, [d.rejection for d in drawn], LOTS_PER_DRAW)
    }
    if "process.termination_probability" in specification.stated:
        numbers["failure"] = estimated_share(found.failure, found.lots, text, [d.failure for d in drawn], LOTS_PER_DRAW)
    _add_days(numbers, found.release_testing_days_mean, found.release_testing_days_sd, text)
    if found.doses_per_lot > 0.0 and not math.isnan(found.doses_per_lot_cv):
        error = found.doses_per_lot * found.doses_per_lot_cv / math.sqrt(max(found.released, 1))
        doses = [d.doses_per_lot for d in drawn]
        numbers["doses_per_lot"] = estimated_positive(found.doses_per_lot, error, "count", text, doses)
        numbers["doses_per_lot_cv"] = estimated_positive(
            found.doses_per_lot_cv, 0.0, "ratio", text, [d.doses_per_lot_cv for d in drawn]
        )
    if specification.money is not None and found.cost_of_testing > 0.0:
        numbers[LOT_COST] = _stated(found.cost_of_testing, f"{specification.money}/lot", text)
    return numbers


def _statement(specification: ReleaseSpecification, name: str, lots: int, seed: int, draws: int) -> str:
    known = f"its centres and variances drawn {draws} times" if draws else "its centres and variances taken as known"
    return f"{name} ({specification.region}): {lots} generated lots, seed {seed}; {known}"


def _stated(value: float, unit: str, text: str) -> EstimatedNumber:
    return EstimatedNumber(value, unit, text, certain="stated by the specification")


def _add_days(numbers: Numbers, mean: float, sd: float, text: str) -> None:
    if not mean > 0.0:
        return
    law, cv = ("lognormal", min(sd / mean, 10.0)) if sd > 0.0 else (None, None)
    why = "the times of the tests are those of the specification"
    numbers["release_testing"] = EstimatedNumber(mean, "days", text, certain=why, law=law, cv=cv)


def _drawn(
    specification: ReleaseSpecification, condense: Callable[[ReleaseSpecification], Condensed]
) -> list[Condensed]:
    data = specification.data_behind
    if data is None:
        return []
    return [condense(draw_specification(specification, specification.seed, k)) for k in range(data.draws)]
