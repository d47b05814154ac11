"""Question 3: what reference materials, harmonised methods and formats remove, in patients and money; which first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cartsight.evidence.quality.release import ReleaseSpecification
from cartsight.evidence.quality.release.calibration import pathway_numbers
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.intervals import span
from cartsight.studies.quality.panels import Panel, interval_panels
from cartsight.studies.quality.patients import World, follow

QUESTION = (
    "What would reference materials, harmonised methods and common formats each remove from between-site variance and from "
    "out-of-specification decisions, in patients and money, and which should be standardised first?"
)
REFERENCE_RESULTS = 6
LAB_SHARE_OF_METHODS = 0.5
UNREADABLE = 0.25
LABELS = {"car_positive": "CAR-positive share", "vector_copies": "vector copies"}

ASSUMPTIONS = (
    f"A common reference removes a laboratory's own level of an attribute and adds the error of its mean of {REFERENCE_RESULTS} "
    "reference results; all of that level is taken to multiply results of reference and lots alike.",
    f"Harmonised methods halve ({LAB_SHARE_OF_METHODS:.0%}) the differences between laboratories and sessions of every attribute; no "
    "figure was read.",
    "Better assays change what lots are called, not what they are: a truly good product that is no longer called out of specification "
    "keeps its response, and those still called so are bad more often.",
    f"A common format removes {UNREADABLE:.0%} of invalid runs (transcription, lost or unreadable results) and no variance; no figure "
    "was read.",
    "Centres and variances of release.toml are assumptions around published limits; their logs are drawn with sd 0.30 (assay error), "
    "0.45 (laboratory, site) and 0.15 (donor, run).",
)


def with_reference(specification: ReleaseSpecification, names: Sequence[str]) -> ReleaseSpecification:
    """Return the specification with a common reference for some attributes."""
    changed = []
    for a in specification.attributes:
        if a.name in names:
            error = float(np.hypot(a.assay.session_sd, a.assay.replicate_sd)) / REFERENCE_RESULTS**0.5
            a = replace(a, assay=replace(a.assay, lab_sd=min(error, a.assay.lab_sd)))
        changed.append(a)
    return replace(specification, attributes=tuple(changed))


def with_harmonised_methods(specification: ReleaseSpecification) -> ReleaseSpecification:
    """Return the specification with smaller differences between laboratories and sessions."""
    keep = 1.0 - LAB_SHARE_OF_METHODS
    return replace(
        specification,
        attributes=tuple(
            replace(a, assay=replace(a.assay, lab_sd=keep * a.assay.lab_sd, session_sd=keep * a.assay.session_sd))
            for a in specification.attributes
        ),
    )


def with_common_format(specification: ReleaseSpecification) -> ReleaseSpecification:
    """Return the specification with fewer invalid runs."""
    return replace(
        specification,
        attributes=tuple(
            replace(a, assay=replace(a.assay, invalid_probability=(1.0 - UNREADABLE) * a.assay.invalid_probability))
            for a in specification.attributes
        ),
    )


def measures(specification: ReleaseSpecification) -> dict[str, ReleaseSpecification]:
    """Return the specification under each measure."""
    found = {
        f"reference material: {LABELS.get(a.name, a.name)}": with_reference(specification, [a.name])
        for a in specification.attributes
    }
    found["reference materials: all"] = with_reference(specification, specification.names)
    found["harmonised methods"] = with_harmonised_methods(specification)
    found["common format"] = with_common_format(specification)
    return found


def between_laboratories(specification: ReleaseSpecification) -> float:
    """Return the mean share of the variance of a reported result that lies between laboratories and sites."""
    shares = []
    for a in specification.attributes:
        between = a.site_sd**2 + a.assay.lab_sd**2
        shares.append(between / (a.true_sd**2 + a.assay.result_sd**2))
    return float(np.mean(shares))


def portability(study: Sequence[World], seed: int, progress: Progress) -> Answer:
    """Return the answer to question 3."""
    names = list(measures(study[0].specification))
    kept: dict[str, dict[str, list[float]]] = {
        name: {key: [] for key in ("variance", "rejected", "bad", "infused", "qalys", "cost", "net")} for name in names
    }
    base_rejected, base_bad = [], []
    for k, world in enumerate(study):
        base = follow(world, world.numbers)
        base_rejected.append(world.numbers.out_of_specification)
        base_bad.append(world.numbers.released_bad)
        before = between_laboratories(world.specification)
        for name, specification in measures(world.specification).items():
            numbers = pathway_numbers(specification, seed=seed)
            change = numbers.released_bad - world.numbers.released_bad
            found = follow(world, numbers, released_bad_change=change)
            row = kept[name]
            row["variance"].append(1.0 - between_laboratories(specification) / before)
            row["rejected"].append(numbers.out_of_specification - world.numbers.out_of_specification)
            row["bad"].append(change)
            row["infused"].append(found.infused - base.infused)
            row["qalys"].append(found.qalys - base.qalys)
            row["cost"].append(found.cost - base.cost)
            row["net"].append(found.net_benefit - base.net_benefit)
        progress("portable data", k + 1, len(study))
    rows: list[dict[str, Any]] = []
    for name in names:
        row = kept[name]
        low, high = span(row["rejected"])
        net_low, net_high = span(row["net"])
        rows.append(
            {
                "measure": name,
                "between_site_variance_removed": float(np.mean(row["variance"])),
                "out_of_specification_per_1000_batches": 1000 * float(np.mean(row["rejected"])),
                "low": 1000 * low,
                "high": 1000 * high,
                "bad_released_per_1000": 1000 * float(np.mean(row["bad"])),
                "infused_per_1000_referred": 1000 * float(np.mean(row["infused"])),
                "qalys_per_1000_referred": 1000 * float(np.mean(row["qalys"])),
                "cost_per_1000_referred": 1000 * float(np.mean(row["cost"])),
                "net_benefit_per_1000_referred": 1000 * float(np.mean(row["net"])),
                "net_low": 1000 * net_low,
                "net_high": 1000 * net_high,
            }
        )
    single = [r for r in rows if r["measure"].startswith("reference material:")]
    first = min(single, key=lambda r: r["out_of_specification_per_1000_batches"] + r["bad_released_per_1000"])
    runner_up = min(
        (r for r in single if r is not first),
        key=lambda r: r["out_of_specification_per_1000_batches"] + r["bad_released_per_1000"],
    )
    scores = np.array([np.add(kept[r["measure"]]["rejected"], kept[r["measure"]]["bad"]) for r in single])
    wins = float(np.mean(np.argmin(scores, axis=0) == single.index(first)))
    every = next(r for r in rows if r["measure"] == "reference materials: all")
    methods = next(r for r in rows if r["measure"] == "harmonised methods")
    form = next(r for r in rows if r["measure"] == "common format")
    scenario = study[0].scenario
    unclear = every["net_low"] < 0 < every["net_high"]
    answer = (
        f"Of 1 000 finished batches {1000 * float(np.mean(base_rejected)):.0f} are out of specification and "
        f"{1000 * float(np.mean(base_bad)):.0f} of those released are truly outside a limit. Reference materials for all attributes "
        f"remove {every['between_site_variance_removed']:.0%} of the variance between sites and change out-of-specification decisions by "
        f"{every['out_of_specification_per_1000_batches']:+.1f} per 1 000 batches; harmonised methods "
        f"{methods['out_of_specification_per_1000_batches']:+.1f}; a common format {form['out_of_specification_per_1000_batches']:+.1f}. "
        f"The first to standardise is the {first['measure'].removeprefix('reference material: ')}: "
        f"{first['out_of_specification_per_1000_batches']:+.1f} decisions and {first['bad_released_per_1000']:+.1f} bad lots released per "
        f"1 000, first in {wins:.0%} of draws, before the {runner_up['measure'].removeprefix('reference material: ')} "
        f"({runner_up['out_of_specification_per_1000_batches']:+.1f}). Carried to patients, all references are worth {every['net_benefit_per_1000_referred']:,.0f} {scenario.analysis.money} "
        f"net benefit and {every['qalys_per_1000_referred']:.1f} QALYs per 1 000 referred, at the cost of making and caring"
        f". {1 + every['out_of_specification_per_1000_batches'] / (1000 * float(np.mean(base_rejected))):.0%} of the decisions remain "
        "whatever laboratories do, because they come from donors, runs and sites"
        + ("; the interval of the net benefit includes zero." if unclear else ".")
    )
    figures = (
        *(
            Figure(
                f"{r['measure']}: out-of-specification decisions per 1 000 batches",
                r["out_of_specification_per_1000_batches"],
                r["low"],
                r["high"],
            )
            for r in rows
        ),
        *(
            Figure(
                f"{r['measure']}: net benefit per 1 000 referred",
                r["net_benefit_per_1000_referred"],
                r["net_low"],
                r["net_high"],
                scenario.analysis.money,
            )
            for r in (every, methods, form)
        ),
    )
    return Answer(
        question=QUESTION,
        answer=answer,
        figures=figures,
        rows=tuple(rows),
        chart=interval_panels(
            rows,
            "measure",
            (
                Panel(
                    "out_of_specification_per_1000_batches", "low", "high", "Out of specification, per 1 000 batches"
                ),
                Panel(
                    "net_benefit_per_1000_referred",
                    "net_low",
                    "net_high",
                    f"Net benefit per 1 000 referred, {scenario.analysis.money}",
                ),
            ),
            "portability",
            "Change of out-of-specification decisions and of patients' net benefit under each measure of standardisation",
        ),
        would_change=(
            "Limits closer to the median lot: near a limit laboratories decide, far from it donors do.",
            "Laboratories that differ on reference and lots in unlike ways: a ratio to reference then removes less.",
            "More attributes that are each remade on failure rather than used under expanded access.",
        ),
        weakest=(
            "Variances between laboratories of potency and CAR expression (Q113, Q116: not evidence, wide priors).",
            f"Net benefit of measures that change few decisions: the noise of {scenario.analysis.patients:,} patients a draw is part of its "
            "interval.",
            "What a format alone changes; no count of results lost in transcription was found.",
            "The response of patients to lots truly out of specification (Q038: 13 patients).",
        ),
    )
