"""Sweeps: the backend, the block size and a kill in between change nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cartsight.comparison.executor import SerialExecutor, make_executor
from cartsight.comparison.sweep import SweepPlan, changed_scenario, plan_sweep, run_sweep
from cartsight.core.errors import InputError
from cartsight.scenario import load_scenario
from tests.scenario_builder import build, minimal_scenario, probability

PRICE = "arms.autologous.price.per_patient"


def plan(draws: int = 5, block: int = 2) -> SweepPlan:
    raw = minimal_scenario()
    raw["analysis"]["patients"] = 120
    raw["population"]["female"] = probability(0.4, low=0.3, high=0.5, interval="confidence_95")
    return plan_sweep(
        build(raw),
        {PRICE: [200_000, 400_000], "care_pathway.infusion_bed.beds_per_hospital": [8, 12]},
        draws=draws,
        block=block,
    )


def results(folder: Path) -> list:
    return json.loads((folder / "results.json").read_text())["cases"]


def test_the_grid_holds_every_combination_and_prices_order_the_costs(tmp_path: Path) -> None:
    summary = run_sweep(plan(), tmp_path / "a", SerialExecutor())
    assert [tuple(case["values"].values()) for case in summary["cases"]] == [
        (200_000, 8),
        (200_000, 12),
        (400_000, 8),
        (400_000, 12),
    ]
    cost = [case["arms"]["autologous"]["metrics"]["cost_per_referred"]["mean"] for case in summary["cases"]]
    effect = [case["arms"]["autologous"]["metrics"]["qalys_per_referred"]["mean"] for case in summary["cases"]]
    assert cost[2] > cost[0]
    assert effect[2] == effect[0]


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_backends_and_block_sizes_give_the_same_results(tmp_path: Path, backend: str) -> None:
    run_sweep(plan(), tmp_path / "serial", SerialExecutor())
    run_sweep(plan(block=3), tmp_path / "other", make_executor(backend, 2))
    assert results(tmp_path / "serial") == results(tmp_path / "other")


def test_dask_gives_the_same_results(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra [cluster]")
    run_sweep(plan(), tmp_path / "serial", SerialExecutor())
    run_sweep(plan(), tmp_path / "dask", make_executor("dask", 2))
    assert results(tmp_path / "serial") == results(tmp_path / "dask")


def test_a_killed_sweep_resumes_with_what_is_missing(tmp_path: Path) -> None:
    whole = run_sweep(plan(), tmp_path / "whole", SerialExecutor())

    class Killed(Exception):
        pass

    def kill(done: int, total: int) -> None:
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        run_sweep(plan(), tmp_path / "cut", SerialExecutor(), progress=kill)
    assert len(list((tmp_path / "cut" / "blocks").glob("*.npz"))) == 3
    started: list[int] = []
    run_sweep(plan(), tmp_path / "cut", SerialExecutor(), progress=lambda done, total: started.append(done))
    assert started[0] == 4
    assert results(tmp_path / "cut") == whole["cases"]
    again = run_sweep(plan(), tmp_path / "cut", SerialExecutor(), only=[1])
    assert again["cases"] == whole["cases"]


def test_what_cannot_be_swept_is_refused(tmp_path: Path) -> None:
    scenario = plan().scenario
    with pytest.raises(InputError, match="no number and no design choice"):
        changed_scenario(scenario, {"arms.autologous.prise": 1.0})
    with pytest.raises(InputError, match="whole numbers"):
        changed_scenario(scenario, {"care_pathway.infusion_bed.beds_per_hospital": 2.5})
    with pytest.raises(InputError, match="at least 1"):
        plan_sweep(scenario, {PRICE: [1.0]}, draws=0)
    with pytest.raises(InputError, match="unknown backend"):
        make_executor("thread")
    run_sweep(plan(draws=1), tmp_path / "x", SerialExecutor())
    with pytest.raises(InputError, match="another sweep"):
        run_sweep(plan(draws=2), tmp_path / "x", SerialExecutor())
    with pytest.raises(InputError, match="no block has this number"):
        run_sweep(plan(draws=1), tmp_path / "x", SerialExecutor(), only=[99])


def test_a_design_choice_of_a_shipped_scenario_can_be_swept() -> None:
    scenario = load_scenario("lbcl-third-line-us")
    beds = "care_pathway.infusion_bed.beds_per_hospital"
    price = "arms.autologous-central.price.per_patient"
    changed = changed_scenario(scenario, {beds: 9, price: 300_000.0})
    assert changed.care_pathway.infusion_bed.beds_per_hospital == 9
    before, after = scenario.numbers(), changed.numbers()
    assert after[price].x == 300_000.0
    assert {path: n.x for path, n in before.items() if path != price} == {
        path: n.x for path, n in after.items() if path != price
    }
