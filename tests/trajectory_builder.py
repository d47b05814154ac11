"""Trajectories for tests of the stages after the flow: random, or everybody infused on one day."""

from __future__ import annotations

from typing import Any

import numpy as np

from cartsight.core.streams import patient_ids
from cartsight.simulation.pathways import trajectory as t

STATUSES = (t.INFUSED, t.DIED, t.INELIGIBLE, t.NO_PRODUCT, "left: not eligible", t.OTHER_CARE)
KINDS = (
    "step: consult",
    "step: eligibility",
    "step: payer approval",
    t.LEUKAPHERESIS,
    t.LYMPHODEPLETION,
    t.INFUSION,
    t.REDOSING_VISIT,
)


def patients(n: int, *, age: Any = None, female: Any = None, seed: int = 1) -> t.Patients:
    """Return n patients with ages around 60."""
    rng = np.random.default_rng(seed)
    ages = np.clip(rng.normal(60.0, 9.0, n), 20.0, 88.0)
    women = rng.random(n) < 0.4
    return t.Patients(
        identity=patient_ids("north", "test lymphoma", n),
        referral_day=np.sort(rng.uniform(0.0, 365.0, n)),
        region=np.zeros(n, dtype=np.int64),
        hospital=np.zeros(n, dtype=np.int64),
        age=ages if age is None else np.broadcast_to(np.asarray(age, dtype=np.float64), (n,)).copy(),
        female=women if female is None else np.broadcast_to(np.asarray(female, dtype=np.bool_), (n,)).copy(),
        counted=np.ones(n, dtype=np.bool_),
    )


def trajectories(
    n: int = 500,
    *,
    modality: str = "autologous",
    seed: int = 1,
    infused_share: float = 0.7,
    infusion_day: float | None = None,
    people: t.Patients | None = None,
    lot_effect_sd: float = 0.0,
    worsened_share: float = 0.3,
    out_of_specification_share: float = 0.05,
) -> t.Trajectories:
    """Return trajectories of n patients; `infusion_day` puts every infusion on that day."""
    rng = np.random.default_rng(seed + 1000)
    people = patients(n, seed=seed) if people is None else people
    draw = rng.random(n)
    status = np.where(draw < infused_share, 0, 1 + (rng.random(n) * 4).astype(np.int64))
    if modality == "other_care":
        status = np.full(n, 5, dtype=np.int64)
    infused = status == 0
    exit_day = rng.gamma(6.0, 9.0, n) if infusion_day is None else np.full(n, infusion_day)
    steps = np.sort(rng.random((3, n)), axis=0) * 0.4 * exit_day
    nowhere = np.full(n, np.nan)
    collected = np.where((status <= 3) & (modality == "autologous"), 0.5 * exit_day, nowhere)
    day = {
        "step: consult": steps[0],
        "step: eligibility": steps[1],
        "step: payer approval": np.where(modality == "other_care", nowhere, steps[2]),
        t.LEUKAPHERESIS: collected,
        t.LYMPHODEPLETION: np.where(infused & (modality != "in_vivo"), exit_day - 3.0, nowhere),
        t.INFUSION: np.where(infused, exit_day, nowhere),
        t.REDOSING_VISIT: np.where(infused & (modality == "in_vivo") & (rng.random(n) < 0.2), exit_day + 21.0, nowhere),
    }
    rows = [np.flatnonzero(np.isfinite(day[kind])) for kind in KINDS]
    return t.Trajectories(
        patients=people,
        statuses=STATUSES,
        status=status,
        end_day=exit_day,
        day=day,
        worsened=rng.random(n) < worsened_share,
        out_of_specification=infused & (modality == "autologous") & (rng.random(n) < out_of_specification_share),
        expressed=(rng.random(n) < 0.8) if modality == "in_vivo" else np.ones(n, dtype=np.bool_),
        bridged=rng.random(n) < 0.5,
        courses=infused.astype(np.int64),
        lot_effect=lot_effect_sd * rng.standard_normal(n),
        event_kinds=KINDS,
        event_patient=np.concatenate(rows),
        event_kind=np.concatenate([np.full(r.size, code, dtype=np.int64) for code, r in enumerate(rows)]),
        event_day=np.concatenate([day[kind][r] for kind, r in zip(KINDS, rows, strict=True)]),
    )
