"""Release specifications: measurement, decision, states, calibration, and clear errors."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cartsight.core.errors import InputError
from cartsight.evidence.quality.release import (
    STATES,
    Patients,
    build_release_specification,
    draw_patients,
    evaluate,
    generate_lots,
    named_places,
    read_release_specification,
)
from cartsight.evidence.quality.release.calibration import pathway_numbers, patient_sd, second_moment
from cartsight.evidence.quality.release.guard_band import choose_guard_band
from cartsight.evidence.quality.release.marginal_values import marginal_values
from cartsight.evidence.quality.release.measurement import binomial_quantile, poisson_quantile, round_reported
from cartsight.evidence.quality.release.operating_characteristic import operating_characteristic
from cartsight.evidence.quality.release.specification import ReleaseSpecification
from cartsight.evidence.quality.release.uncertainty import draw_specification

N = 20_000


def build(**values: Any) -> ReleaseSpecification:
    return build_release_specification({"lots": N, **values})


def viability(**more: Any) -> dict[str, Any]:
    assay = {"sd": {"lab": 0.1, "replicate": 0.15}, **more.pop("assay", {})}
    body = {"scale": "logit", "median": 88, "sd": {"site": 0.1, "donor": 0.4, "run": 0.2}, "limits": {"lower": 80}}
    return {**body, "assay": assay, **more}


STERILITY = {
    "prior": 0.02, "organisms_per_ml": 1.0, "organisms_log_sd": 1.0, "sample_ml": 1.0, "median_days": 3.0, "log_sd": 0.3,
    "sensitivity": 0.9, "read_day": 7.0, "false_positive": 0.01,
}  # fmt: skip


def test_states_are_exclusive_and_exhaustive() -> None:
    risk = evaluate(
        build(
            attributes={"v": viability(assay={"invalid_probability": 0.2, "retest": {"results": 2, "days": 1}})},
            safety={"sterility": STERILITY},
            sampling={"product_volume_ml": 50},
            process={"termination_probability": 0.05, "attempts": 2},
            disposition={"use_out_of_specification": 0.5},
        )
    )
    assert set(risk.states) == set(STATES)
    assert sum(estimate.probability for estimate in risk.states.values()) == pytest.approx(1.0)
    assert risk.states["used_out_of_specification"].probability > 0.01
    assert risk.states["remade"].probability > 0.05
    assert risk.states["confirmed_out_of_specification"].probability == 0.0


def test_without_further_attempts_every_state_is_seen() -> None:
    risk = evaluate(
        build(
            attributes={
                "v": viability(assay={"invalid_probability": 0.3, "days": 1, "retest": {"results": 1, "days": 3}})
            },
            process={"termination_probability": 0.05, "days": 7},
            disposition={"use_out_of_specification": 0.5, "as_of_day": 11.5},
        )
    )
    assert all(risk.states[name].probability > 0 for name in STATES if name != "remade")
    assert risk.states["invalid_assay"].probability == pytest.approx(0.09 * 0.95, abs=0.01)


def test_never_use_and_a_positive_safety_test_exclude_expanded_access() -> None:
    policy = {"use_out_of_specification": 1.0}
    usable = evaluate(build(attributes={"v": viability()}, disposition=policy))
    excluded = evaluate(build(attributes={"v": viability(never_use=True)}, disposition=policy))
    assert usable.states["used_out_of_specification"].probability > 0.1
    assert excluded.states["used_out_of_specification"].probability == 0.0
    sterile = build(safety={"s": STERILITY}, sampling={"product_volume_ml": 50}, disposition=policy)
    assert evaluate(sterile).states["used_out_of_specification"].probability == 0.0


def test_rounding_before_comparison_accepts_79_6_against_80() -> None:
    assert round_reported([79.4, 79.5, 79.6], 1.0).tolist() == [79.0, 80.0, 80.0]
    assert round_reported([0.285, 2.675], 0.01).tolist() == pytest.approx([0.29, 2.68])
    body = {"mean": 79.6, "sd": 0.0, "limits": {"lower": 80}}
    for rounding, accepted in ((0.0, 0.0), (1.0, 1.0)):
        specification = build(attributes={"v": {**body, "assay": {"sd": 0.0, "rounding": rounding}}})
        assert evaluate(specification).released.probability == accepted


def test_rounded_closed_form_agrees_with_simulation() -> None:
    body = {"mean": 85, "sd": 5, "limits": {"lower": 80.3, "upper": 95.2}, "assay": {"sd": 2, "rounding": 1}}
    specification = build(attributes={"v": body})
    exact = evaluate(specification)
    assert exact.method == "quadrature"
    made = generate_lots(specification, draw_patients(specification, 60_000, 3), 3)
    found = float(np.mean(made.confirmed))
    assert abs(found - exact.rejected.probability) < 4.5 * math.sqrt(found * (1 - found) / 60_000)


def test_count_quantiles_against_scipy() -> None:
    u = np.random.default_rng(4).random(4000)
    for events, p in ((20, 0.3), (30, 0.001), (500, 0.93), (2000, 0.4)):
        off = np.abs(binomial_quantile(u, events, np.full(u.size, p)) - stats.binom.ppf(u, events, p))
        # exact where counts are few, one count in fewer than one draw of a hundred where they are many
        assert off.max() <= (0 if events * p * (1 - p) < 25 else 1)
        assert np.mean(off > 0) < 0.01
    for mean in (0.02, 3.0, 400.0):
        off = np.abs(poisson_quantile(u, np.full(u.size, mean)) - stats.poisson.ppf(u, mean))
        assert off.max() <= 1 and np.mean(off > 0) < 0.01


def test_counting_floor_widens_results_as_the_binomial_says() -> None:
    body = {"scale": "logit", "median": 40, "sd": 0.0, "limits": {"lower": 20}}
    specification = build(attributes={"car": {**body, "assay": {"counted": "binomial", "events": 200}}})
    made = generate_lots(specification, draw_patients(specification, N, 1), 1)
    assert np.std(made.attributes[0].reported) == pytest.approx(100 * math.sqrt(0.4 * 0.6 / 200), rel=0.03)


def test_below_detection_cannot_meet_a_lower_limit_but_meets_an_upper_one() -> None:
    body = {"scale": "log", "median": 0.5, "sd": 0.0, "assay": {"sd": 0.1, "detection_limit": 1.0}}
    assert evaluate(build(attributes={"v": {**body, "limits": {"lower": 0.2}}})).released.probability == 0.0
    assert evaluate(build(attributes={"v": {**body, "limits": {"upper": 5}}})).released.probability == 1.0


def test_retest_rules_order_as_expected() -> None:
    found = {}
    for rule in ("all", "mean", "mean_with_first"):
        retest = {"results": 2, "rule": rule, "days": 2}
        found[rule] = evaluate(build(attributes={"v": viability(assay={"retest": retest})}))
    none = evaluate(build(attributes={"v": viability()}))
    assert none.rejected.probability > found["mean"].rejected.probability
    assert found["all"].rejected.probability > found["mean"].rejected.probability
    assert found["mean"].visited["unexplained_out_of_specification"].probability > 0
    assert any("averages" in word for word in found["mean_with_first"].warnings)
    assert found["mean"].consumers_risk.joint > none.consumers_risk.joint


def test_the_same_lot_passes_in_one_region_and_fails_in_another() -> None:
    values: dict[str, Any] = {
        "attributes": {"v": {k: v for k, v in viability().items() if k != "limits"}},
        "specifications": {"p": {"us": {"v": {"lower": 80}}, "eu": {"v": {"lower": 70}}}},
        "product": "p",
        "lots": N,
    }
    us, eu = (build_release_specification(values, region=region) for region in ("us", "eu"))
    patients = draw_patients(us, N, 1)
    a, b = generate_lots(us, patients, 1), generate_lots(eu, patients, 1)
    assert np.array_equal(a.attributes[0].true, b.attributes[0].true)
    assert np.all(b.in_state("in_specification")[a.in_state("in_specification")])
    assert a.confirmed.mean() > b.confirmed.mean() + 0.05


def test_samples_come_out_of_the_dose() -> None:
    dose = {"scale": "log", "median": 100, "sd": 0.0, "limits": {"lower": 95}, "assay": {"sd": 0.0}}
    values = {"attributes": {"dose": dose}, "safety": {"s": {**STERILITY, "sample_ml": 10.0, "prior": 0.0}}}
    for volume, kept in ((100.0, 90.0), (1000.0, 99.0)):
        specification = build(**values, sampling={"product_volume_ml": volume, "dose_attribute": "dose"})
        made = generate_lots(specification, draw_patients(specification, 2000, 1), 1)
        assert np.nanmedian(made.dose) == pytest.approx(kept)
        assert made.good.all() == (kept >= 95)


def test_remakes_keep_donor_and_site_and_draw_a_new_run() -> None:
    specification = build(attributes={"v": viability(sd={"site": 0.2, "donor": 0.6, "run": 0.3})})
    patients = draw_patients(specification, N, 2)
    first, second = (generate_lots(specification, patients, 2, attempt=i) for i in (1, 2))
    scale = specification.attributes[0].scale
    x, y = (np.log(m.attributes[0].true / (scale.high - m.attributes[0].true)) for m in (first, second))
    assert np.corrcoef(x, y)[0, 1] == pytest.approx((0.04 + 0.36) / (0.04 + 0.36 + 0.09), abs=0.02)


def test_lots_of_one_site_and_lab_share_their_effects() -> None:
    specification = build(attributes={"v": viability(sd={"site": 0.5}, assay={"sd": {"lab": 0.3}})})
    n = 400
    site, lab = named_places(["boston"] * 200 + ["lyon"] * 200), named_places(["central"] * n)
    made = generate_lots(specification, Patients(np.arange(n, dtype=np.uint64), {}, site, lab), 3)
    assert np.unique(made.attributes[0].true.round(9)).size == 2
    assert np.unique(made.attributes[0].reported.round(9)).size == 2


def test_a_lot_does_not_depend_on_its_neighbours() -> None:
    specification = build(attributes={"v": viability()}, process={"termination_probability": 0.1})
    everyone = draw_patients(specification, 1000, 1)
    some = Patients(everyone.identity[500:], {}, everyone.site[500:], everyone.lab[500:])
    a, b = generate_lots(specification, everyone, 1), generate_lots(specification, some, 1)
    assert np.array_equal(a.attributes[0].reported[500:], b.attributes[0].reported)
    assert np.array_equal(a.state[500:], b.state)


def test_sicker_patients_fail_more_often_and_calibration_finds_the_odds_ratio() -> None:
    values = {"covariates": {"worsened": {"probability": 0.3}}, "lots": 40_000}
    specification = build(attributes={"v": viability(effects={"worsened": -0.3})}, **{**values, "lots": N})
    numbers = pathway_numbers(specification)
    assert numbers.odds_ratio_if_worsened > 1.3
    assert numbers.patient_sd > 0.5
    assert numbers.both_attempts_fail > numbers.out_of_specification**2


def test_patient_sd_inverts_the_second_moment() -> None:
    for p, sd in ((0.03, 2.0), (0.15, 0.8), (0.5, 3.0)):
        assert patient_sd(p, second_moment(p, sd)) == pytest.approx(sd, abs=1e-6)
    assert patient_sd(0.1, 0.01) == 0.0


def test_operating_characteristic_crosses_half_at_the_limit_and_simulation_agrees() -> None:
    plain = build(attributes={"v": {"mean": 85, "sd": 5, "assay": {"sd": 3}, "limits": {"lower": 80}}})
    curve = operating_characteristic(plain, points=201)[0]
    assert curve.method == "closed form"
    assert np.interp(80.0, curve.true_value, curve.accepted) == pytest.approx(0.5, abs=0.002)
    assert np.all(np.diff(curve.accepted) >= 0)
    simulated = operating_characteristic(
        build(
            attributes={
                "v": {
                    "mean": 85, "sd": 5, "assay": {"sd": 3, "detection_limit": 0.0}, "limits": {"lower": 80},
                }
            }
        ),
        points=9,
    )[0]  # fmt: skip
    assert simulated.method == "simulation"
    expected = np.interp(simulated.true_value, curve.true_value, curve.accepted)
    assert np.all(np.abs(simulated.accepted - expected) < 4.5 * simulated.standard_error + 2e-3)


def test_guard_band_for_patients_is_zero_when_rejection_costs_more() -> None:
    def chosen(released_bad: float, rejected_good: float) -> float:
        specification = build(
            attributes={"v": {"mean": 85, "sd": 5, "assay": {"sd": 3}, "limits": {"lower": 80}}},
            loss={"released_bad": released_bad, "rejected_good": rejected_good},
        )
        band = choose_guard_band(specification)
        assert band is not None and band.for_patients is not None
        return band.for_patients.point.multiple

    assert chosen(0.2, 1.0) == 0.0
    assert 0.0 < chosen(3.0, 1.0) < chosen(20.0, 1.0)


def test_safety_floor_finds_the_reading_day() -> None:
    test = {**STERILITY, "organisms_per_ml": 10.0, "organisms_log_sd": 0.0, "sensitivity": 1.0, "false_positive": 0.0}
    specification = build(
        attributes={"v": viability()},
        safety={"s": {**test, "floor_released_contaminated": 0.001, "read_day": 2.0}},
        sampling={"product_volume_ml": 50},
    )
    band = choose_guard_band(specification, lots=2000)
    assert band is not None
    floor = band.safety_floor[0]
    assert not floor.met and floor.read_day_needed is not None
    # P(T <= d) = 0.95 for the log-normal time, apart from e^-10 of empty samples
    assert floor.read_day_needed == pytest.approx(3.0 * math.exp(0.3 * stats.norm.ppf(0.95)), rel=1e-3)


def test_marginal_values_point_the_right_way() -> None:
    rapid = {"median_days": 1.5, "log_sd": 0.3, "read_day": 2.0, "sample_ml": 1.0, "false_positive": 0.01}
    specification = build(
        attributes={"v": viability()},
        safety={"s": {**STERILITY, "rapid": rapid}},
        sampling={"product_volume_ml": 50},
        loss={"waiting_hazard_per_day": 0.01},
    )
    found = {(value.action, value.subject): value for value in marginal_values(specification, lots=N)}
    for action in ("one more replicate", "half the assay error", "no laboratory variance"):
        assert found[action, "v"].wrong_decisions.difference < 0
    assert found["no site variance", "v"].rejected.difference < 0
    quick = found["rapid test", "s"]
    assert quick.days_to_release.difference == pytest.approx(-5.0)
    assert 400 < quick.patient_days_saved_per_100_lots < 500
    assert quick.patients_kept_per_1000_lots == pytest.approx(1000 * (1 - math.exp(-0.05)) * 0.85, rel=0.1)


def test_conditional_release_saves_days_and_shows_later_positives() -> None:
    values: dict[str, Any] = {"attributes": {"v": viability()}, "sampling": {"product_volume_ml": 50}}
    waits = evaluate(build(**values, safety={"s": STERILITY}))
    conditional = evaluate(build(**values, safety={"s": {**STERILITY, "after_release": True}}))
    assert conditional.days["median"] < waits.days["median"]
    assert conditional.safety[0].positive_after_release.probability > waits.safety[0].positive_after_release.probability
    assert conditional.consumers_risk.joint > waits.consumers_risk.joint


GOOD = {"mean": 85, "sd": 5, "assay": {"sd": 3}, "limits": {"lower": 80}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "at least one attribute"),
        ({"attributes": {"v": {**GOOD, "sdd": 1}}}, "Did you mean 'sd'"),
        ({"attributes": {"v": {**GOOD, "sd": -1}}}, "out of range"),
        ({"attributes": {"v": {**GOOD, "mean": math.nan}}}, "finite number"),
        ({"attributes": {"v": {**GOOD, "scale": "log", "mean": 5}}}, "the centre is a median"),
        (
            {"attributes": {"v": {**{k: v for k, v in GOOD.items() if k != "mean"}, "median": 0, "scale": "log"}}},
            "outside",
        ),
        ({"attributes": {"v": {**GOOD, "limits": {"lower": 90, "upper": 80}}}}, "below upper"),
        ({"attributes": {"v": {**GOOD, "assay": {"sd": 1, "counted": "binomial"}}}}, "logit"),
        ({"attributes": {"v": {**GOOD, "effects": {"age": 1}}}}, "no such covariate"),
        ({"attributes": {"v": {**GOOD, "assay": {"sd": 1, "sample_ml": 2}}}}, "product volume is needed"),
        ({"attributes": {"v": GOOD}, "correlation": [{"between": ["v", "w"], "value": 0.5}]}, "no such attribute"),
        ({"attributes": {"v": GOOD}, "specifications": {"p": {"us": {}}}}, "no specification set for this product"),
        ({"attributes": {"v": GOOD}, "process": {"attempts": 1.5}}, "whole number"),
        ({"attributes": {"v": GOOD}, "lots": 10}, "out of range"),
    ],
)
def test_bad_input_is_one_clear_message(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build_release_specification(values)


def test_contradicting_correlations_are_refused() -> None:
    pairs = [(("a", "b"), 0.9), (("b", "c"), 0.9), (("a", "c"), -0.9)]
    values = {
        "attributes": dict.fromkeys("abc", GOOD),
        "correlation": [{"between": list(pair), "value": value} for pair, value in pairs],
    }
    with pytest.raises(InputError, match="contradict"):
        build_release_specification(values)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_release_specification(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[attributes.v\n")
    with pytest.raises(InputError, match="not valid TOML"):
        read_release_specification(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read_release_specification(broken)


def test_days_and_costs_add_over_remakes() -> None:
    # Runs are independent here (no donor or site variance), so attempts fail as coins do.
    specification = build_release_specification(
        {
            "lots": 40_000,
            "process": {"days": 8, "cost": 100, "attempts": 3, "remake_wait_days": 4},
            "attributes": {
                "viability": {
                    "mean": 85,
                    "sd": {"run": 5},
                    "assay": {"sd": 3, "days": 2, "cost": 10},
                    "limits": {"lower": 80},
                }
            },
        }
    )
    risk = evaluate(specification)
    course = risk.course
    assert course is not None
    p = 0.19559
    error = 4 * math.sqrt(p * (1 - p) / 40_000)
    assert course.no_product == pytest.approx(p**3, abs=error)
    assert course.attempts_mean == pytest.approx(1 + p + p**2, abs=2 * error)
    assert course.second_attempt_fails == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / (40_000 * p)))
    assert course.cost_per_patient == pytest.approx(110 * course.attempts_mean, rel=1e-9)
    assert course.cost_per_product == pytest.approx(course.cost_per_patient / (1 - course.no_product), rel=1e-9)
    # 10 days an attempt and 4 between: 10, 24 or 38 days, over those who get a product
    shares = np.array([1 - p, p * (1 - p), p**2 * (1 - p)])
    expected = float(shares @ np.array([10.0, 24.0, 38.0]) / shares.sum())
    assert course.days["mean"] == pytest.approx(expected, abs=14 * error)
    # one attempt is one lot, and a lot's own cost does not change
    once = evaluate(dataclasses.replace(specification, process=dataclasses.replace(specification.process, attempts=1)))
    assert once.course is not None and once.course.cost_per_patient == pytest.approx(once.cost_per_lot)
    assert once.course.no_product == pytest.approx(1 - once.course.in_specification)


def test_a_donor_that_failed_once_fails_again() -> None:
    body = {"mean": 85, "sd": {"donor": 4.9, "run": 1}, "assay": {"sd": 1}, "limits": {"lower": 80}}
    specification = build_release_specification(
        {"lots": 20_000, "process": {"attempts": 2}, "attributes": {"viability": body}}
    )
    course = evaluate(specification).course
    # two reported results of one donor: a bivariate normal of correlation 24.01 / 26.01
    rho, z = 24.01 / 26.01, -5 / math.sqrt(26.01)
    again = float(stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([z, z]) / stats.norm.cdf(z))
    assert course is not None
    assert course.second_attempt_fails == pytest.approx(again, abs=3.5 * math.sqrt(again * (1 - again) / 3300))


def test_draws_of_a_specification_spread_as_its_data_say() -> None:
    values = {
        "attributes": {"a": {"mean": 10, "sd": {"run": 2.0}, "assay": {"sd": 0.5}, "limits": {"lower": 5}}},
        "process": {"termination_probability": 0.1},
        "uncertainty": {"lots": 21, "assay_runs": 41, "starts": 50},
    }
    specification = build_release_specification(values)
    drawn = [draw_specification(specification, 1, k) for k in range(600)]
    sd = np.array([s.attributes[0].run_sd for s in drawn])
    # 20 sd^2 4 / chi^2 has mean 4 x 20 / 18; the mean of 600 such draws is within 3.5 of its own standard errors
    variances = sd**2
    assert variances.mean() == pytest.approx(4 * 20 / 18, abs=3.5 * variances.std() / math.sqrt(600))
    centres = np.array([s.attributes[0].centre for s in drawn])
    assert centres.std() == pytest.approx(math.sqrt((4 + 0.25) / 21), rel=0.11)
    ended = np.array([s.process.termination_probability for s in drawn])
    assert ended.mean() == pytest.approx(5.5 / 51, abs=3.5 * ended.std() / math.sqrt(600))
    # another attribute moves no draw of this one
    more = build_release_specification({**values, "attributes": {"b": {"mean": 1, "sd": 1}, **values["attributes"]}})
    assert draw_specification(more, 1, 7).attribute("a") == drawn[7].attribute("a")
    with pytest.raises(InputError, match="states no"):
        draw_specification(build_release_specification({"attributes": values["attributes"]}), 1, 0)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"uncertainty": {"lots": 1}}, "out of range"),
        ({"uncertainty": {"draws": 50}}, "says nothing"),
        ({"uncertainty": {"plants": 5}}, "unknown key"),
        ({"money": "usd"}, "price year"),
        ({"money": "days"}, "currency"),
        ({"sampling": {"amount_per_dose": 5}}, "needs dose_attribute"),
    ],
)
def test_new_tables_refuse_what_makes_no_sense(extra: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build_release_specification({"attributes": {"a": {"mean": 10, "sd": 1, "limits": {"lower": 5}}}, **extra})
