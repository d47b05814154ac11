"""Networks of an instance: infeasible cases, limits, ties, both methods, replay of wrong plans."""

from __future__ import annotations

from dataclasses import replace as changed
from pathlib import Path

import numpy as np
import pytest

from benchmarks.network import random_instance_text
from cartsight.core.errors import InputError
from cartsight.planning import NetworkInstance, load_instance, replay, solve_instance
from cartsight.planning import instance_solve as module
from cartsight.planning.instance_model import build_model


def random_instance(folder: Path, patients: int, profile: str, seed: int, **more: object) -> NetworkInstance:
    path = folder / "random.dat"
    path.write_text(random_instance_text(patients, profile, seed, **more), encoding="utf-8")  # type: ignore[arg-type]
    return load_instance(path)


def test_too_many_patients_says_which_days_bind(tmp_path: Path) -> None:
    instance = random_instance(tmp_path, 60, "A", 3, plants=3)
    crowded = changed(instance, patient_day=np.full(60, 30))
    with pytest.raises(InputError) as error:
        solve_instance(crowded)
    assert "60 patients collected on days 30 to 30 must start on days 32 to 33" in str(error.value)
    assert "45 lines" in str(error.value)
    with pytest.raises(InputError, match="the 1 largest plants \\(m2\\)"):
        solve_instance(crowded, maximum_sites=1)
    assert solve_instance(crowded, hold_days=7).status == "optimal"


def test_infeasibility_that_counting_misses(tmp_path: Path) -> None:
    """Two patients a day apart, one line, and one mode only: their runs overlap although a 7-day window starts both."""
    instance = random_instance(tmp_path, 2, "A", 3, plants=1)
    two = changed(instance, patient_day=np.array([10, 12]), lines=np.array([1]))
    with pytest.raises(InputError, match="infeasible"):
        solve_instance(two)
    apart = changed(two, patient_day=np.array([10, 17]))
    assert solve_instance(apart).status == "optimal"


def test_no_lane_within_the_return_limit(tmp_path: Path) -> None:
    instance = random_instance(tmp_path, 10, "A", 3)
    with pytest.raises(InputError, match="17 days at the fastest'; allowed: up to 16 days"):
        solve_instance(changed(instance, return_limit_days=16))
    with pytest.raises(InputError, match="too late"):
        solve_instance(changed(instance, patient_day=np.full(10, 120)))


@pytest.mark.parametrize(("option", "value"), [("maximum_sites", 0), ("hold_days", -1), ("time_limit", 0.0)])
def test_options_out_of_range(tmp_path: Path, option: str, value: float) -> None:
    with pytest.raises(InputError):
        solve_instance(random_instance(tmp_path, 5, "A", 1), **{option: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("seed", "hold", "limit"), [(1, 0, None), (2, 0, 3), (3, 2, None), (4, 5, 2)])
def test_set_search_equals_the_plain_programme(tmp_path: Path, seed: int, hold: int, limit: int | None) -> None:
    """The whole programme, with binaries for plants and no bound of ours, has the same optimum."""
    instance = random_instance(tmp_path, 60, "AB"[seed % 2], seed, plants=5, twins=False)
    found = solve_instance(instance, hold_days=hold, maximum_sites=limit)
    plain = build_model(instance, hold, maximum_sites=limit).programme.solve()
    assert plain.status == "optimal"
    batches = found.material_cost + found.quality_control_cost
    assert found.objective - batches == pytest.approx(plain.objective, rel=1e-9)


def test_with_too_many_sets_branch_and_bound_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = random_instance(tmp_path, 50, "B", 7, twins=False)
    listed = solve_instance(instance)
    monkeypatch.setattr("cartsight.planning.plant_sets.MOST_SETS", 3)
    branched = solve_instance(instance)
    assert branched.method.startswith("branch and bound")
    assert branched.objective == pytest.approx(listed.objective, rel=1e-9)
    assert branched.gap <= 1e-9


def test_out_of_time_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(module.NoSolutionError, match="--time-limit"):
        solve_instance(random_instance(tmp_path, 60, "A", 1), time_limit=1e-9)


def test_twin_plants_open_in_the_order_of_the_file(tmp_path: Path) -> None:
    instance = random_instance(tmp_path, 30, "A", 2)
    same = changed(
        instance,
        cost_out=np.broadcast_to(instance.cost_out[:, :1], instance.cost_out.shape).copy(),
        cost_back=np.broadcast_to(instance.cost_back[:1], instance.cost_back.shape).copy(),
    )
    opened = solve_instance(same).opened_sites
    assert ("m4" not in opened or "m1" in opened) and ("m6" not in opened or "m3" in opened)


def test_replay_refuses_a_plan_that_does_not_hold(tmp_path: Path) -> None:
    instance = random_instance(tmp_path, 60, "A", 5)
    solution = solve_instance(instance)
    assert replay(instance, solution).matches
    fewer = changed(instance, lines=np.where(np.arange(6) == solution.opened[0], 1, instance.lines))
    broken = replay(fewer, solution)
    assert not broken.matches and broken.late_patients > 0
    assert not broken.overfull_plants  # the engine never overfills a plant: batches wait instead
    dearer = replay(changed(instance, cost_out=instance.cost_out + 0.01), solution)
    assert not dearer.matches and dearer.late_patients == 0
