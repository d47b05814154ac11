"""Plan files: the shipped one, what a slip says, and what technology, material and transport ask of the plants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.planning import (
    PlannedStudy,
    find_plan,
    in_year,
    load_plan,
    planned_scenario,
    planned_study,
    shipped_plans,
)
from cartsight.planning.capacity_modules import modules
from cartsight.scenario.model import walk_numbers

FILE = shipped_plans()["lbcl-network-us"]
TEXT = FILE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def study() -> PlannedStudy:
    plan = load_plan(FILE)
    return planned_study(plan, planned_scenario(plan, FILE))


def test_every_number_has_an_origin() -> None:
    numbers = dict(walk_numbers(load_plan(FILE), "plan"))
    assert len(numbers) > 20
    for path, number in numbers.items():
        provenance = number.quantity.provenance
        assert provenance.origin in {"cited", "assumed"}, path
        assert len(provenance.statement) > 5, path


def test_processes_differ_as_their_numbers_say(study: PlannedStudy) -> None:
    problems = {process.name: process.problem for process in study.processes}
    assert len(problems) == 6
    base, manual, full = (problems[f"{level}, fresh"] for level in ("partly", "manual", "fully"))
    labour = base.arm.costs.labour_per_batch.x
    assert manual.batch_cost == pytest.approx(base.batch_cost + 0.6 * labour)
    assert full.batch_cost == pytest.approx(base.batch_cost - 0.6 * labour)
    failure = [p.arm.process.manufacturing_failure.x for p in (base, manual, full)]
    odds = [p / (1 - p) for p in failure]
    assert odds[1] / odds[0] == pytest.approx(2.11) and odds[2] / odds[0] == pytest.approx(0.59)
    assert manual.load.batches > base.load.batches > full.load.batches
    spread = [p.arm.process.manufacturing_failure.quantity.uncertainty for p in (base, manual)]
    assert spread[1].law.mean / spread[0].law.mean == pytest.approx(failure[1] / failure[0], rel=1e-6)
    # Fresh material holds its line from before the collection; frozen material asks for fewer lines and costs a day.
    frozen = problems["partly, frozen"]
    assert base.load.line_days - frozen.load.line_days > 2.5
    assert frozen.load.vein_to_vein_days == pytest.approx(base.load.vein_to_vein_days + 1.0, abs=0.4)
    assert frozen.load.infused <= base.load.infused
    assert frozen.batch_cost == pytest.approx(base.batch_cost + 1500.0)
    assert frozen.relative_loss >= 0.0 == min(p.relative_loss for p in problems.values())


def test_mode_is_chosen_by_price_and_lost_patients(study: PlannedStudy) -> None:
    plan, scenario = study.plan, planned_scenario(study.plan, FILE)
    one = plan.model_copy(
        update={
            "technologies": {"partly": plan.technologies["partly"]},
            "materials": {"fresh": plan.materials["fresh"]},
        }
    )
    dear = planned_study(one, scenario).processes[0]
    assert [mode.name for mode in dear.problem.modes] == ["air", "road"]  # the fastest first
    lost = [dear.loads[mode].infused / dear.loads[mode].collected for mode in ("air", "road")]
    assert lost[0] > lost[1]
    assert (dear.problem.lane_mode == 0).all()
    cheap = plan.model_copy(
        update={
            **{k: getattr(one, k) for k in ("technologies", "materials")},
            "lost_patient": one.modes["air"].shipping,
        }
    )
    road = planned_study(cheap, scenario).processes[0]  # a patient priced at one shipment: the cheaper mode wins
    assert (road.problem.lane_mode == 1).all()
    assert road.problem.lost_share == pytest.approx(np.full((4, 4), lost[0] - lost[1]))


def test_one_year_of_a_plan(study: PlannedStudy) -> None:
    process = next(p for p in study.processes if p.name == "fully, frozen")
    year = in_year(process, 1.5, study.discount_rate)
    assert [plant.name for plant in year.plants] == ["coast", "inland", "midland", "small-town"][:3] + (
        ["small-town"] if process.allowed[3] else []
    )
    assert year.referrals.sum() == pytest.approx(1.5 * process.problem.referrals.sum())
    annuity = 0.03 / (1 - 1.03**-8) * 200_000.0
    assert year.plants[0].line_per_year == pytest.approx(process.problem.plants[0].line_per_year + annuity, rel=1e-6)
    assert [size.lines for size in modules(year, 0, 1.0)] == [16, 32, 48, 64]


def test_existing_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(TEXT.replace("existing_lines = 0", "existing_lines = 10"), encoding="utf-8")
    plan = load_plan(path)
    study = planned_study(plan, planned_scenario(plan, path))
    assert [process.name for process in study.processes] == ["partly, fresh"]
    year = in_year(study.processes[0], 1.0, 0.03)
    assert modules(year, 0, 1.0)[0].lines == 10


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("line_cost_ratio = { value = 1.15", "line_cost = { value = 1.15", "Did you mean 'line_cost_ratio'"),
        ('technologies = ["partly", "manual"]', 'technologies = ["partly", "manuel"]', "Did you mean 'manual'"),
        ("demand = [1.0, 1.1, 1.2, 1.35, 1.5]", "demand = [1.0, 1.1]", "one figure per year: 5, not 2"),
        ("demand = [1.0, 1.1, 1.2, 1.35, 1.5]", "demand = [1.0, 1.1, 1.2, 1.35, -1]", "above 0"),
        ("existing_lines = 0", "existing_lines = 65", "exceeds maximum_lines"),
        ("existing_lines = 0", "existing_lines = 3", "whole modules of 2"),
        ('starting_material = "fresh"', 'starting_material = "chilled"', "chilled"),
        ("[years]\ncount = 5", "[years]\ncount = 0", "years.count"),
        ('value = 0.4, unit = "ratio"', 'value = 0.4, unit = "usd_2024"', "labour_ratio"),
    ],
)
def test_slips_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    path = tmp_path / "plan.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_plan(path)
    assert message in str(error.value) and "plan.toml" in str(error.value)


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        ('[[lanes]]\nplant = "coast"\nregion = "nowhere"\nmode = "air"\n', "unknown region"),
        ('[[lanes]]\nplant = "coast"\nregion = "rural"\nmode = "air"\n', "no lane leads from this region"),
    ],
)
def test_lanes_are_checked_against_the_scenario(tmp_path: Path, lanes: str, message: str) -> None:
    path = tmp_path / "plan.toml"
    price = 'shipping = { value = 900, unit = "usd_2024/shipment", assumed = "test" }\n'
    path.write_text(TEXT + lanes + price, encoding="utf-8")
    plan = load_plan(path)
    with pytest.raises(InputError, match=message):
        planned_study(plan, planned_scenario(plan, path))


def test_time_limit_leaves_out_what_is_slow(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    limit = 'longest_vein_to_vein = { value = 23.2, unit = "days", assumed = "test" }\n'
    path.write_text(TEXT.replace("\n[technologies.partly]", limit + "\n[technologies.partly]", 1), encoding="utf-8")
    plan = load_plan(path)
    study = planned_study(plan, planned_scenario(plan, path))
    assert all(set(process.loads) == {"air"} for process in study.processes)
    assert any("road" in remark and "left out" in remark for remark in study.remarks)
    path.write_text(path.read_text(encoding="utf-8").replace("23.2", "5"), encoding="utf-8")
    with pytest.raises(InputError, match="no process and mode meets the time limit"):
        planned_study(load_plan(path), planned_scenario(plan, path))


def test_a_scenario_is_not_a_plan(tmp_path: Path) -> None:
    assert find_plan("lbcl-third-line-us") is None
    assert find_plan("lbcl-network-us") == FILE
    assert find_plan(tmp_path) is None
