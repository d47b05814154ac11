"""What must hold for every instance: waiting, lines and plants never raise the cost; the plan replays to the cent."""

from __future__ import annotations

import tempfile
from dataclasses import replace as changed
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.network import random_instance_text
from cartsight.planning import NetworkInstance, load_instance, replay, solve_instance

CENT = 0.005


def instance_of(seed: int, patients: int, profile: str) -> NetworkInstance:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.dat"
        path.write_text(random_instance_text(patients, profile, seed, plants=4, twins=False), encoding="utf-8")
        instance = load_instance(path)
    # Enough lines that one plant alone could do, so that every limit is feasible.
    return changed(instance, lines=np.maximum(instance.lines, [patients, 1, 1, 1]))


INSTANCES = st.builds(instance_of, st.integers(0, 10_000), st.integers(1, 40), st.sampled_from("AB"))


@settings(max_examples=12, deadline=None)
@given(INSTANCES, st.integers(0, 4))
def test_the_plan_replays_and_respects_its_limits(instance: NetworkInstance, hold: int) -> None:
    solution = solve_instance(instance, hold_days=hold)
    assert solution.gap <= 1e-9 and solution.bound <= solution.objective
    assert replay(instance, solution).matches
    assert (solution.waits >= 0).all() and (solution.waits <= hold).all()
    assert (solution.return_days - solution.waits <= instance.return_limit_days).all()
    assert (solution.return_day <= instance.horizon_days).all()
    for m in solution.opened:
        assert solution.occupancy(int(m)).max() <= instance.lines[m]


@settings(max_examples=10, deadline=None)
@given(INSTANCES, st.integers(1, 5))
def test_a_hold_never_raises_the_cost(instance: NetworkInstance, hold: int) -> None:
    assert (
        solve_instance(instance, hold_days=hold).objective
        <= solve_instance(instance, hold_days=hold - 1).objective + CENT
    )


@settings(max_examples=10, deadline=None)
@given(INSTANCES, st.integers(0, 3), st.integers(1, 5))
def test_more_lines_never_raise_the_cost(instance: NetworkInstance, plant: int, more: int) -> None:
    lines = instance.lines.copy()
    lines[plant] += more
    assert solve_instance(changed(instance, lines=lines)).objective <= solve_instance(instance).objective + CENT


@settings(max_examples=10, deadline=None)
@given(INSTANCES, st.integers(1, 3))
def test_one_more_plant_never_raises_the_cost(instance: NetworkInstance, limit: int) -> None:
    looser = solve_instance(instance, maximum_sites=limit + 1).objective
    assert looser <= solve_instance(instance, maximum_sites=limit).objective + CENT


@settings(max_examples=8, deadline=None)
@given(INSTANCES)
def test_one_patient_fewer_never_raises_the_cost(instance: NetworkInstance) -> None:
    if len(instance.patients) < 2:
        return
    fewer = changed(
        instance,
        patients=instance.patients[:-1],
        patient_site=instance.patient_site[:-1],
        patient_day=instance.patient_day[:-1],
    )
    assert solve_instance(fewer).objective <= solve_instance(instance).objective + CENT
