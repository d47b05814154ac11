"""Where patients are lost and where days are spent, read off the dated events of the patients of an arm.

A patient's furthest stage is the last one whose event happened; whoever is not infused is lost after it, with the reason
the pathway gave. Days are split by first and last events, so that the phases of the infused add up to their mean time
from referral to infusion exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.comparison.single_arm import ArmRun
from cartsight.reporting.labels import words
from cartsight.scenario.arms import AutologousArm
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.trajectory import Trajectories

Float = npt.NDArray[np.float64]


def endings(run: ArmRun) -> list[dict[str, Any]]:
    """Return how the pathway of the referred ended, most frequent first: reason, patients, share."""
    counts = np.bincount(run.trajectories.status, minlength=len(run.trajectories.statuses))
    total = max(len(run.trajectories), 1)
    order = np.argsort(-counts, kind="stable")
    return [
        {"reason": _reason(run.trajectories.statuses[i]), "patients": int(counts[i]), "share": float(counts[i] / total)}
        for i in order
        if counts[i] > 0
    ]


def stages(run: ArmRun) -> dict[str, Any]:
    """Return the stages in order with the share of the referred who reached each, and the losses between them.

    Returns
    -------
    dict
        ``stages``: name, patients, share. ``losses``: after (name of the last stage reached), reason, patients, share.
        Shares are of the referred.
    """
    trajectories = run.trajectories
    n = max(len(trajectories), 1)
    names = ["referred"]
    furthest = np.zeros(len(trajectories), dtype=np.int64)
    for name, day in _marks(run):
        names.append(name)
        furthest[~np.isnan(day)] = len(names) - 1
    final, arrived = _final(run)
    names.append(final)
    furthest[arrived] = len(names) - 1
    losses = []
    for index in range(len(names) - 1):
        lost = trajectories.status[furthest == index]
        counts = np.bincount(lost, minlength=len(trajectories.statuses))
        for code in np.argsort(-counts, kind="stable"):
            if counts[code] > 0:
                losses.append(
                    {
                        "after": names[index],
                        "reason": _reason(trajectories.statuses[code]),
                        "patients": int(counts[code]),
                        "share": float(counts[code] / n),
                    }
                )
    reached = [int(np.count_nonzero(furthest >= index)) for index in range(len(names))]
    return {
        "stages": [
            {"name": name, "patients": count, "share": count / n} for name, count in zip(names, reached, strict=True)
        ],
        "losses": losses,
    }


def days_spent(run: ArmRun) -> list[dict[str, Any]]:
    """Return the mean days that the infused spent in each phase, in order; they add up to referral to infusion."""
    chosen = run.trajectories.infused
    if not chosen.any():
        return []
    before = np.zeros(int(chosen.sum()))
    phases = []
    for name, day in _phases(run):
        at = day[chosen]
        at = np.where(np.isnan(at), before, np.maximum(at, before))
        phases.append({"phase": name, "mean_days": float(np.mean(at - before))})
        before = at
    return phases


def _reason(status: str) -> str:
    return status.removeprefix("left: ")


def _step_days(run: ArmRun) -> list[tuple[str, Float]]:
    found = []
    for name in run.scenario.care_pathway.steps:
        mark = f"step: {name}"
        if mark in run.trajectories.day:
            found.append((words(name), run.trajectories.day[mark]))
    return found


def _day(trajectories: Trajectories, mark: str) -> Float:
    return trajectories.day.get(mark, np.full(len(trajectories), np.nan))


def _first_day(trajectories: Trajectories, kind: str) -> Float:
    """Return the first day of an event, NaN where it never happened."""
    first = np.full(len(trajectories), np.inf)
    patient, day = trajectories.events(kind)
    np.minimum.at(first, patient, day)
    return np.where(np.isinf(first), np.nan, first)


def _marks(run: ArmRun) -> list[tuple[str, Float]]:
    trajectories, arm = run.trajectories, run.scenario.arms[run.name]
    found = _step_days(run)
    if arm.modality == "autologous":
        found += [
            ("leukapheresis", _day(trajectories, t.LEUKAPHERESIS)),
            ("batch started", _day(trajectories, t.BATCH_STARTED)),
            ("product released", _day(trajectories, t.PRODUCT_RELEASED)),
        ]
    elif arm.modality != "other_care":
        found.append(("dose set aside", _first_day(trajectories, t.DOSE_TAKEN)))
    return found


def _final(run: ArmRun) -> tuple[str, npt.NDArray[np.bool_]]:
    if run.scenario.arms[run.name].modality == "other_care":
        return "other care", run.trajectories.has_status(t.OTHER_CARE)
    return "infused", run.trajectories.infused


def _phases(run: ArmRun) -> list[tuple[str, Float]]:
    trajectories, arm = run.trajectories, run.scenario.arms[run.name]
    phases = _step_days(run)
    infusion = _day(trajectories, t.INFUSION)
    if isinstance(arm, AutologousArm):
        fresh = arm.process.starting_material == "fresh"
        phases += [
            (
                "waiting for a line and collection" if fresh else "waiting for collection",
                _first_day(trajectories, t.LEUKAPHERESIS),
            ),
            (
                "shipping to the plant" if fresh else "shipping and waiting for a line",
                _first_day(trajectories, t.BATCH_STARTED),
            ),
            ("failed batches and remakes", _day(trajectories, t.BATCH_STARTED)),
            ("manufacturing and release testing", _day(trajectories, t.PRODUCT_RELEASED)),
        ]
    elif arm.modality != "other_care":
        phases.append(("waiting for a dose in stock", _first_day(trajectories, t.DOSE_TAKEN)))
    return [*phases, ("delivery and preparation", infusion)]
