"""Study 1B: its arithmetic by hand, its designs by their properties, and every question answered with figures and a chart."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest

from cartsight.scenario import load_scenario
from cartsight.scenario.arms import AllogeneicArm
from cartsight.studies import find_study, study_codes
from cartsight.studies.allogeneic_manufacturing import batch_size, durability, many_sites
from cartsight.studies.allogeneic_manufacturing.numbers import LotNumbers, read_numbers
from cartsight.studies.answers import Answer
from cartsight.studies.study_numbers import at_values, draw_study_numbers

SEED, MONEY = 5, "usd_2024"


def quiet(stage: str, done: int, total: int) -> None:
    pass


def complete(answer: Answer) -> None:
    assert answer.figures and answer.rows and answer.would_change and answer.weakest
    assert answer.chart.startswith("<svg") and "aria-label" in answer.chart
    assert "nan" not in answer.answer and " inf" not in answer.answer
    for figure in answer.figures:
        assert math.isfinite(figure.value), figure.label
        if figure.low is not None and figure.high is not None:
            assert figure.low <= figure.high
    json.dumps(answer.rows, allow_nan=False)


def test_the_study_is_in_the_catalogue() -> None:
    assert "1B" in study_codes()
    assert find_study("1b").questions == (batch_size.QUESTION, many_sites.QUESTION, durability.QUESTION)


def test_cost_of_a_used_dose_by_hand() -> None:
    numbers = at_values(
        read_numbers(MONEY),
        {
            "donor.cost_of_reference_lot": 800_000.0,
            "donor.bank_per_year": 1_000_000.0,
            "donor.line_days_per_lot": 10.0,
            "donor.shelf_life": 36_525.0,
            "shared.size_exponent": 1.0,
            "shared.site_per_year": 3_000_000.0,
            "shared.line_per_year": 1_000_000.0,
            "shared.fill_and_storage_per_dose": 500.0,
        },
    )
    # 1 000 doses from lots of 80 of which half are released: 25 lots at 800 000 are 20 000 a dose; 250 line-days are one
    # line; site and bank are 4 million, 4 000 a dose; filling 500. Nothing expires within a century.
    line = numbers.shared.line_per_year.x
    found = batch_size.cost_per_used_dose(numbers.donor, numbers.shared, 80.0, 0.5, 1000.0)
    assert found == pytest.approx(24_500.0 + line / 1000.0, rel=1e-9)


def donor_cost(numbers: LotNumbers) -> float:
    donor = numbers.donor
    return batch_size.cost_per_used_dose(donor, numbers.shared, donor.doses_per_lot.x, donor.success.x, 2000.0)


def test_success_that_equals_makes_the_costs_equal() -> None:
    numbers = read_numbers(MONEY)
    needed = batch_size.success_that_equals(numbers, 500.0, 2000.0, donor_cost(numbers))
    ipsc = batch_size.cost_per_used_dose(numbers.ipsc, numbers.shared, 500.0, needed, 2000.0)
    donor = donor_cost(numbers)
    # Whole lines make the cost jump; it crosses here, so the two sides lie within a line's cost per dose.
    assert ipsc == pytest.approx(donor, abs=numbers.shared.line_per_year.x / 2000.0)
    # A donor lot of more doses is cheaper, so the bank has to succeed more often.
    larger = at_values(numbers, {"donor.doses_per_lot": 160.0})
    assert batch_size.success_that_equals(larger, 500.0, 2000.0, donor_cost(larger)) > needed


def test_equal_cure_by_hand() -> None:
    assert durability.equal_cure(lambda cure: 100.0 * cure, 30.0) == pytest.approx(0.3, abs=1e-4)
    assert durability.equal_cure(lambda cure: 100.0 * cure, -1.0) == 0.0
    assert durability.equal_cure(lambda cure: 100.0 * cure, 101.0) == math.inf


@dataclass
class Lots:
    doses: float
    released: float


def lots_after(name: str) -> Lots:
    scenario = load_scenario(durability.SCENARIO)
    arm = scenario.arms[many_sites.ARM]
    assert isinstance(arm, AllogeneicArm)
    changed = durability.DECISIONS[name](arm.lots)
    return Lots(changed.mean_doses, changed.release_probability)


def test_decisions_change_lots_as_they_say() -> None:
    scenario = load_scenario(durability.SCENARIO)
    arm = scenario.arms[many_sites.ARM]
    assert isinstance(arm, AllogeneicArm)
    base = Lots(arm.lots.mean_doses, arm.lots.release_probability)
    # Half the cells are half the vials; samples and retains stay, so fewer than half the doses are left.
    assert lots_after("one doubling less").doses < 0.5 * base.doses
    assert 0.8 * base.doses < lots_after("one more edit").doses < base.doses
    assert lots_after("a fifth more lots rejected for potency").released == pytest.approx(0.8 * base.released)


def test_stock_follows_use_and_lead_time() -> None:
    scenario = load_scenario(many_sites.SCENARIO)
    arm = scenario.arms[many_sites.ARM]
    assert isinstance(arm, AllogeneicArm)
    few, many = (many_sites.stocked(arm.lots, doses_per_day) for doses_per_day in (1.0, 4.0))
    assert many.reorder_point > few.reorder_point and many.order_up_to > many.reorder_point
    assert few.donors is not None and many.donors is not None
    assert many.donors.reorder_point > few.donors.reorder_point


def test_batch_sizes_are_answered() -> None:
    answer = batch_size.batch_size(draw_study_numbers(read_numbers(MONEY), 3, SEED, "1B"), MONEY, quiet)
    complete(answer)
    assert len(answer.rows) == len(batch_size.SIZES) * len(batch_size.DEMANDS)


def test_many_sites_are_answered() -> None:
    answer = many_sites.many_sites(2, SEED, quiet, patients=500)
    complete(answer)
    by_name = {row["design"]: row for row in answer.rows}
    assert by_name["shelf life 0.25 years"]["doses expired"] >= by_name["as in the scenario"]["doses expired"]
    accepted = [figure.value for figure in answer.figures if "bad lots accepted" in figure.label]
    assert accepted == sorted(accepted, reverse=True) and accepted[0] == 1.0


def test_durability_is_answered() -> None:
    answer = durability.durability(2, SEED, quiet, patients=500)
    complete(answer)
    assert {row["question"].split(":")[0] for row in answer.rows[2:]} == set(durability.NAMES)
