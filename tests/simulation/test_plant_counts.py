"""What plants count: every run's drivers are in the vocabulary, and a batch's fate is read off the log."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.scenario.cost_drivers import DRIVERS, FIXED_DRIVERS, driver, find_driver, supply_of
from cartsight.simulation.pathways import run_flow
from cartsight.simulation.pathways.plant import FATES
from tests.scenario_builder import build, minimal_scenario


@pytest.fixture(scope="module")
def plants() -> dict[str, object]:
    scenario = build(minimal_scenario())
    return {name: run_flow(scenario, name, 7, keep_batches=True).plant for name in scenario.arms}


def test_counts_agree_with_the_record(plants: dict[str, object]) -> None:
    for plant in plants.values():
        if plant is None:
            continue
        made = "batches" if "batches started" in plant.counts else "lots"  # type: ignore[attr-defined]
        counts = plant.counts  # type: ignore[attr-defined]
        assert counts[f"{made} started"] == plant.started  # type: ignore[attr-defined]
        assert counts[f"{made} finished"] + counts[f"{made} failed"] == counts[f"{made} started"]
        assert counts["line years"] == plant.lines * plant.years  # type: ignore[attr-defined]
        used = plant.utilisation("line") * counts["line years"] * 365.25  # type: ignore[attr-defined]
        assert counts["line days in runs"] == pytest.approx(used, rel=0.02)
        known = [name for name in counts if name in DRIVERS]
        assert {"site years", "line years", "line days in runs", "shipments", "patients infused"} <= set(known)


def test_batches_are_kept_only_when_asked_and_change_nothing() -> None:
    scenario = build(minimal_scenario())
    for name in scenario.arms:
        kept, plain = run_flow(scenario, name, 7, keep_batches=True), run_flow(scenario, name, 7)
        assert np.array_equal(kept.trajectories.end_day, plain.trajectories.end_day)
        if plain.plant is None:
            continue
        assert kept.plant is not None
        assert plain.plant.batches is None
        assert kept.plant.counts == plain.plant.counts


def test_lost_runs_are_as_long_as_the_log_says(plants: dict[str, object]) -> None:
    table = plants["autologous"].batches  # type: ignore[attr-defined]
    lost = table.run_days[table.has_fate("failed")]
    assert (lost > 0).all()
    assert float(lost.mean()) == pytest.approx(9.0, rel=0.15)  # the mean of the manufacturing time
    assert set(np.unique(table.fate)) <= set(range(len(FATES)))
    assert (np.diff(table.start_day) >= 0).all()


def test_drivers_of_supplies_go_by_the_name_of_the_supply() -> None:
    assert find_driver("vector lots ordered") is not None
    assert supply_of("vector lots ordered") == "vector"
    assert supply_of("batches started") is None
    assert find_driver("vector lot ordered") is None
    assert driver("vector units expired").fixed is False
    with pytest.raises(InputError) as caught:
        driver("batches begun")
    assert "batches" in str(caught.value)


def test_fixed_drivers_are_capacity() -> None:
    assert all(DRIVERS[name].carrier == "capacity" for name in FIXED_DRIVERS)
    assert all(rule.units and rule.meaning for rule in DRIVERS.values())
