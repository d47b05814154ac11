"""A scenario may name a release specification instead of flat failure probabilities, and gets the same lots."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cartsight.comparison.citing import citations
from cartsight.comparison.parameter_draws import draw_parameters, uncertain_paths
from cartsight.comparison.sweep import changed_scenario
from cartsight.core.errors import InputError
from cartsight.evidence.quality.release import read_release_specification
from cartsight.evidence.quality.release.calibration import pathway_numbers
from cartsight.evidence.quality.release.lot_numbers import lot_numbers
from cartsight.evidence.quality.release.lots import Patients, draw_patients, generate_lots
from cartsight.reporting.run_folder import source_files
from cartsight.scenario import Scenario, load_scenario, validate
from cartsight.scenario.autologous import AutologousArm
from cartsight.scenario.release import specification_files
from cartsight.simulation.pathways.flow import run_flow
from tests.scenario_builder import autologous, minimal_scenario, number, probability

SPECIFICATION = """
region = "us"
lots = 20000

[process]
termination_probability = 0.04
remake_wait_days = 3

[covariates.worsened]
probability = 0.3

[attributes.viability]
unit = "percent"
scale = "logit"
median = 90
sd = { donor = 0.3, run = 0.3 }
effects = { worsened = -0.2 }
[attributes.viability.assay]
sd = { lab = 0.1, replicate = 0.1 }
days = 2
cost = 100
retest = { results = 2, days = 3 }
[attributes.viability.limits]
lower = 80

[disposition]
use_out_of_specification = 0.5
approval_days = 6
"""
DERIVED = (
    "manufacturing_failure",
    "out_of_specification",
    "odds_ratio_if_worsened",
    "patient_sd",
    "infuse_out_of_specification",
    "out_of_specification_approval",
    "release_testing",
)
PATIENTS = 12_000


def raw_scenario(process: dict[str, Any], **population: Any) -> dict[str, Any]:
    """Return an autologous scenario without queues, of many patients, with other fields of its process."""
    arm = autologous()
    arm["process"] = {**arm["process"], **process}
    arm["sites"] = {"plant": {"lines": 5000, "quality_control_lanes": 5000}}
    raw = minimal_scenario(analysis={"patients": PATIENTS, "warm_up_days": 0})
    raw["arms"] = {"car": arm}
    raw["population"] = {**raw["population"], **population}
    raw["analysis"].pop("reference_arm", None)
    raw.pop("validation", None)
    return raw


def named(raw: dict[str, Any], file: str = "release.toml") -> dict[str, Any]:
    """Return the scenario with its failures taken from a specification file."""
    process = {key: value for key, value in raw["arms"]["car"]["process"].items() if key not in DERIVED}
    process["release_specification"] = file
    return {**raw, "arms": {"car": {**raw["arms"]["car"], "process": process}}}


def loaded(folder: Path, text: str = SPECIFICATION, **population: Any) -> Scenario:
    (folder / "release.toml").write_text(text)
    return validate(named(raw_scenario({}, **population)), folder / "scenario.toml")


def shares(scenario: Scenario) -> tuple[float, float, float]:
    """Return (failed of started, out of specification of finished, standard error of the latter)."""
    plant = run_flow(scenario, "car", 7).plant
    assert plant is not None
    finished = plant.started - plant.failed
    p = plant.out_of_specification / finished
    return plant.failed / plant.started, p, math.sqrt(p * (1 - p) / finished)


def test_either_way_of_saying_it_gives_the_same_patients(tmp_path: Path) -> None:
    by_name = loaded(tmp_path)
    process = by_name.arms["car"].process  # type: ignore[union-attr]
    numbers = pathway_numbers(read_release_specification(tmp_path / "release.toml"))
    assert process.out_of_specification.x == numbers.out_of_specification
    assert process.odds_ratio_if_worsened.x == numbers.odds_ratio_if_worsened
    flat = raw_scenario(
        {
            "manufacturing_failure": probability(numbers.manufacturing_failure),
            "out_of_specification": probability(numbers.out_of_specification),
            "odds_ratio_if_worsened": number(numbers.odds_ratio_if_worsened, "odds_ratio"),
            "patient_sd": number(numbers.patient_sd, "log_odds"),
            "infuse_out_of_specification": probability(numbers.infuse_out_of_specification),
            "out_of_specification_approval": number(6, "days"),
            "release_testing": number(
                numbers.release_testing_days_mean,
                "days",
                law="lognormal",
                cv=numbers.release_testing_days_sd / numbers.release_testing_days_mean,
            ),
            "remake_wait": number(3, "days"),
        }
    )
    one = run_flow(by_name, "car", 3).trajectories
    other = run_flow(validate(flat, tmp_path / "flat.toml"), "car", 3).trajectories
    assert np.array_equal(one.end_day, other.end_day)
    assert np.array_equal(one.out_of_specification, other.out_of_specification)


def test_the_simulated_plant_shows_the_shares_of_the_generated_lots(tmp_path: Path) -> None:
    # Nobody worsens here, so the plant's first batches are the generator's at worsened = 0. Later batches of a patient
    # fail more often in both; the scenario allows no second one, so all batches are first ones.
    raw = raw_scenario({"attempts": 1})
    states = raw["population"]["health_states"]
    first = next(iter(states))
    raw["population"]["health_states"] = {first: {k: v for k, v in states[first].items() if not k.startswith("worsen")}}
    (tmp_path / "release.toml").write_text(SPECIFICATION)
    scenario = validate(named(raw), tmp_path / "scenario.toml")
    failed, out, error = shares(scenario)
    specification = read_release_specification(tmp_path / "release.toml")
    patients = draw_patients(specification, 40_000, seed=99)
    fit = Patients(patients.identity, {"worsened": np.zeros(40_000)}, patients.site, patients.lab)
    lots = generate_lots(specification, fit, 99)
    finished = lots.good | lots.bad
    expected = float(np.mean(~lots.in_state("in_specification")[finished]))
    # 3.5 standard errors of the plant, of these lots and of the 20 000 lots behind the scenario's number
    tolerance = 3.5 * math.hypot(error, error * math.sqrt(PATIENTS / 40_000), error * math.sqrt(PATIENTS / 20_000))
    assert out == pytest.approx(expected, abs=tolerance)
    assert failed == pytest.approx(0.04, abs=3.5 * math.sqrt(0.04 * 0.96 / 6000))


def test_patients_who_worsened_and_second_attempts_fail_as_often_as_their_lots(tmp_path: Path) -> None:
    # The patient effect and the odds ratio act together: a marginal odds ratio would understate the worsened.
    numbers = pathway_numbers(read_release_specification(_written(tmp_path)))
    assert numbers.odds_ratio_if_worsened > numbers.odds_ratio_if_worsened_marginal > 1.0
    from cartsight.core.logit_normal import logit_normal_intercept, logit_normal_mean

    intercept = float(logit_normal_intercept(numbers.out_of_specification, numbers.patient_sd))
    worse = float(logit_normal_mean(intercept + math.log(numbers.odds_ratio_if_worsened), numbers.patient_sd))
    specification = read_release_specification(tmp_path / "release.toml")
    patients = draw_patients(specification, 40_000, seed=5)
    sick = Patients(patients.identity, {"worsened": np.ones(40_000)}, patients.site, patients.lab)
    lots = generate_lots(specification, sick, 5)
    finished = lots.good | lots.bad
    seen = float(np.mean(~lots.in_state("in_specification")[finished]))
    assert worse == pytest.approx(seen, abs=3.5 * math.sqrt(seen * (1 - seen) / 15_000))


def _written(folder: Path, text: str = SPECIFICATION) -> Path:
    (folder / "release.toml").write_text(text)
    return folder / "release.toml"


def test_frail_patients_fail_more_often_where_the_lots_say_so(tmp_path: Path) -> None:
    text = SPECIFICATION.replace(
        "effects = { worsened = -0.2 }", "effects = { worsened = -0.2, frailty = -0.2, age = -0.01 }"
    )
    text += "\n[covariates.frailty]\nmean = 0\nsd = 1\n[covariates.age]\nmean = 30\nsd = 1\n"
    scenario = loaded(tmp_path, text)
    arm = scenario.arms["car"]
    assert isinstance(arm, AutologousArm)
    effects = arm.process.failure_log_odds
    assert effects is not None and effects.frailty is not None and effects.age is not None and effects.female is None
    assert effects.frailty.x > 0.2 and effects.age.x > 0.005
    # the patients of the scenario are 60, not 30: the age of the scenario counts, or fewer would fail
    young = pathway_numbers(read_release_specification(tmp_path / "release.toml"))
    assert arm.process.out_of_specification.x > young.out_of_specification * 1.3
    run = run_flow(scenario, "car", 7)
    out = run.trajectories.out_of_specification
    age = run.trajectories.patients.age
    assert age[out].mean() > age[~out].mean() + 0.5
    assert run.plant is not None
    finished = run.plant.started - run.plant.failed
    # the effects are centred: the stated share stays the average of first batches; second ones fail more often
    assert run.plant.out_of_specification / finished == pytest.approx(arm.process.out_of_specification.x, rel=0.35)


def test_without_the_new_fields_nothing_moves() -> None:
    raw = raw_scenario({})
    raw["population"]["frailty_sd"] = number(0.4, "log_odds")
    plain = validate(raw, Path("plain.toml"))
    zero = validate(raw_scenario({"failure_log_odds": {"age": number(0.0, "log_odds")}}), Path("zero.toml"))
    a, b = run_flow(plain, "car", 3).trajectories, run_flow(zero, "car", 3).trajectories
    assert np.array_equal(a.end_day, b.end_day)


def test_what_is_known_of_the_specification_reaches_the_draws(tmp_path: Path) -> None:
    known = loaded(tmp_path)
    widths = {}
    for label, lots in (("much", 400), ("little", 25)):
        folder = tmp_path / label
        folder.mkdir()
        text = (
            SPECIFICATION
            + f"\n[uncertainty]\nlots = {lots}\nlaboratories = 4\nassay_runs = 30\nstarts = 50\ndraws = 16\n"
        )
        scenario = loaded(folder, text)
        path = "arms.car.process.out_of_specification"
        assert path in uncertain_paths(scenario)
        draws = draw_parameters(scenario, 64, 1)
        widths[label] = float(np.std(draws.values[:, draws.paths.index(path)]))
    draws = draw_parameters(known, 64, 1)
    monte_carlo = float(np.std(draws.values[:, draws.paths.index("arms.car.process.out_of_specification")]))
    p = known.numbers()["arms.car.process.out_of_specification"].x
    assert monte_carlo == pytest.approx(math.sqrt(p * (1 - p) / 19_200), rel=0.15)
    assert monte_carlo * 2 < widths["much"] < widths["little"]


def test_cite_names_file_lots_and_seed(tmp_path: Path) -> None:
    scenario = loaded(tmp_path)
    rows = {path: n.quantity.provenance for path, n in scenario.numbers().items()}
    provenance = rows["arms.car.process.out_of_specification"]
    assert provenance.origin == "estimated"
    assert "release.toml (us)" in provenance.statement
    assert "20000 generated lots, seed 1" in provenance.statement and "Monte Carlo error" in provenance.statement
    listed = {row["path"] for row in citations(scenario)["estimates"]}
    assert {"arms.car.process.out_of_specification", "arms.car.process.release_testing"} <= listed


def test_a_child_replaces_its_parents_numbers_and_finds_the_file_beside_itself(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    _written(deep)
    (deep / "child.toml").write_text(
        'extends = "lbcl-third-line-us"\nname = "child"\n[arms.autologous-central.process]\nrelease_specification = "release.toml"\n'
    )
    (tmp_path / "grandchild.toml").write_text('extends = "deep/child.toml"\nname = "grandchild"\n')
    scenario = load_scenario(tmp_path / "grandchild.toml")
    central, local = scenario.arms["autologous-central"], scenario.arms["autologous-point-of-care"]
    assert isinstance(central, AutologousArm) and isinstance(local, AutologousArm)
    assert central.process.out_of_specification.quantity.provenance.origin == "estimated"
    assert central.process.remake_wait is not None
    # what repeats a replaced number repeats the new one
    assert local.process.patient_sd.x == central.process.patient_sd.x
    assert local.process.out_of_specification.quantity.provenance.origin == "assumed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('out_of_specification = { value = 0.1, unit = "probability", assumed = "why not" }', "stated twice"),
        ('release_region = "mars"', "no specification set for this region"),
        ('quality_assurance_review = { value = 2, unit = "days", assumed = "why not" }', "review is stated twice"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, text: str, words: str) -> None:
    release = SPECIFICATION.replace("approval_days = 6", "approval_days = 6\nreview_days = 1").replace(
        "[attributes.viability.limits]\nlower = 80", "[specifications.product.us]\nviability = { lower = 80 }"
    )
    _written(tmp_path, release)
    path = tmp_path / "scenario.toml"
    path.write_text(
        'extends = "lbcl-third-line-us"\nname = "child"\n[arms.autologous-central.process]\n'
        f'release_specification = "release.toml"\n{text}\n'
    )
    with pytest.raises(InputError, match=words):
        load_scenario(path)


def test_a_missing_file_and_a_silent_specification_say_what_to_do(tmp_path: Path) -> None:
    raw = named(raw_scenario({}), "nowhere.toml")
    with pytest.raises(InputError, match="no such release specification"):
        validate(raw, tmp_path / "scenario.toml")
    with pytest.raises(InputError, match=r"disposition\.use_out_of_specification, so the scenario has to state"):
        loaded(tmp_path, SPECIFICATION.replace("use_out_of_specification = 0.5\n", ""))


def test_a_region_without_a_specification_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a region of no release specification"):
        validate(raw_scenario({"release_region": "us"}), tmp_path / "scenario.toml")


def test_the_schema_knows_both_ways() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from cartsight.scenario.schema import scenario_schema

    validator = jsonschema.Draft202012Validator(scenario_schema())
    assert validator.is_valid(raw_scenario({}))
    assert validator.is_valid(named(raw_scenario({})))
    neither = named(raw_scenario({}))
    del neither["arms"]["car"]["process"]["release_specification"]
    assert not validator.is_valid(neither)


def test_testing_costs_come_from_the_specification_when_it_states_its_money(tmp_path: Path) -> None:
    _written(tmp_path, 'money = "usd_2024"\n' + SPECIFICATION)
    raw = named(raw_scenario({}))
    with pytest.raises(InputError, match="stated twice"):
        validate(raw, tmp_path / "scenario.toml")
    del raw["arms"]["car"]["costs"]["quality_control_per_batch"]
    arm = validate(raw, tmp_path / "scenario.toml").arms["car"]
    assert isinstance(arm, AutologousArm)
    # every first run costs 100, and the lots whose first result is out two more
    assert 100 < arm.costs.quality_control_per_batch.x < 200


def test_the_run_folder_keeps_the_specification(tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text("")
    found = specification_files(named(raw_scenario({})), tmp_path / "scenario.toml")
    assert found == (tmp_path / "release.toml",)
    _written(tmp_path)
    child = tmp_path / "child.toml"
    child.write_text(
        'extends = "lbcl-third-line-us"\nname = "child"\n[arms.autologous-central.process]\nrelease_specification = "release.toml"\n'
    )
    assert tmp_path / "release.toml" in source_files(child)


LOTS = """
region = "us"
lots = 10000
money = "usd_2024"
[process]
termination_probability = 0.08
[attributes.dose]
unit = "1e6 cells"
scale = "log"
median = 40000
sd = { donor = 0.4, run = 0.2 }
assay = { sd = 0.05, days = 9, cost = 5000 }
limits = { lower = 20000 }
[sampling]
product_volume_ml = 1000
dose_attribute = "dose"
amount_per_dose = 1000
"""


def test_lots_take_failures_and_doses_from_a_specification(tmp_path: Path) -> None:
    _written(tmp_path, LOTS)
    raw = minimal_scenario(analysis={"patients": 4000})
    arm = raw["arms"]["allogeneic"]
    stated = {
        k: v for k, v in arm["lots"].items() if k not in ("failure", "rejection", "release_testing", "doses_per_lot")
    }
    costs = {k: v for k, v in arm["costs"].items() if k != "quality_control_per_lot"}
    raw["arms"]["allogeneic"] = {**arm, "lots": {**stated, "release_specification": "release.toml"}, "costs": costs}
    scenario = validate(raw, tmp_path / "scenario.toml")
    lots = scenario.arms["allogeneic"].lots  # type: ignore[union-attr]
    expected = lot_numbers(read_release_specification(tmp_path / "release.toml"))
    assert lots.failure.x == expected.failure and lots.rejection.x == expected.rejection
    assert lots.release_testing.x == pytest.approx(9.0)
    # lognormal with sd 0.447 above 20 000: whole doses of 1 000
    assert 38 < lots.doses_per_lot.x < 50 and 0.3 < lots.doses_per_lot_cv.x < 0.5
    assert scenario.arms["allogeneic"].costs.quality_control_per_lot.x == pytest.approx(5000)  # type: ignore[union-attr]
    plant = run_flow(scenario, "allogeneic", 2).plant
    assert plant is not None and plant.started > 50
    share = plant.failed / plant.started
    assert share == pytest.approx(0.08, abs=4 * math.sqrt(0.08 * 0.92 / plant.started))


def test_doses_differ_between_lots_and_keep_their_mean(tmp_path: Path) -> None:
    raw = minimal_scenario(analysis={"patients": 3000})
    equal = validate(raw, tmp_path / "equal.toml")
    raw["arms"]["allogeneic"]["lots"]["doses_per_lot_cv"] = number(0.5, "ratio")
    unequal = validate(raw, tmp_path / "unequal.toml")
    a, b = (run_flow(s, "allogeneic", 2).plant for s in (equal, unequal))
    assert a is not None and b is not None
    drivers = [plant.counts for plant in (a, b)]
    each = [d["doses received"] / d["lots released"] for d in drivers]
    assert each[0] == 40.0
    # about 55 lots of sd 20: 3.5 standard errors
    assert each[1] != 40.0 and each[1] == pytest.approx(40.0, abs=3.5 * 20 / math.sqrt(drivers[1]["lots released"]))


def test_a_scenario_rebuilt_from_itself_keeps_its_estimates(tmp_path: Path) -> None:
    scenario = loaded(tmp_path)
    changed = changed_scenario(scenario, {"arms.car.process.attempts": 1.0})
    path = "arms.car.process.out_of_specification"
    assert changed.arms["car"].process.attempts == 1  # type: ignore[union-attr]
    assert changed.numbers()[path].x == scenario.numbers()[path].x
    moved = scenario.with_values({path: 0.5})
    assert moved.numbers()[path].x == 0.5


def test_a_remake_waits_as_stated(tmp_path: Path) -> None:
    raw = raw_scenario({"out_of_specification": probability(0.5), "infuse_out_of_specification": probability(0.0)})
    now = run_flow(validate(raw, tmp_path / "a.toml"), "car", 3).trajectories
    raw["arms"]["car"]["process"]["remake_wait"] = number(20, "days")
    later = run_flow(validate(raw, tmp_path / "b.toml"), "car", 3).trajectories
    # those whose first batch is released are untouched; those who wait twenty days more and still get it, by that much
    both = now.infused & later.infused
    gap = (later.end_day - now.end_day)[both]
    waited = np.isclose(gap, 20.0, atol=1e-9)
    assert np.all(np.isclose(gap, 0.0, atol=1e-9) | waited)
    assert 0.2 < waited.mean() < 0.5
