"""Operating characteristics of single sampling plans, by hand and against scipy."""

from __future__ import annotations

import pytest

from cartsight.core.errors import InputError
from cartsight.evidence.quality.acceptance_sampling import AcceptancePlan, smallest_plan


def test_binomial_curve_by_hand() -> None:
    # n = 13, c = 0 at 5 % defective: 0.95^13.
    assert AcceptancePlan(13, 0).acceptance_probability(0.05) == pytest.approx(0.95**13)
    # n = 20, c = 1: 0.9^20 + 20 x 0.1 x 0.9^19.
    assert AcceptancePlan(20, 1).acceptance_probability(0.1) == pytest.approx(0.9**20 + 2.0 * 0.9**19)
    assert AcceptancePlan(5, 2).acceptance_probability(0.0) == 1.0
    assert AcceptancePlan(5, 2).acceptance_probability(1.0) == 0.0


def test_curves_are_those_of_scipy() -> None:
    from scipy.stats import binom, hypergeom

    for n, c in ((8, 0), (50, 3), (125, 7)):
        plan = AcceptancePlan(n, c)
        for p in (0.001, 0.02, 0.1, 0.4):
            assert plan.acceptance_probability(p) == pytest.approx(binom.cdf(c, n, p), rel=1e-9)
            bad = round(p * 500)
            exact = hypergeom.cdf(c, 500, bad, n)
            assert plan.acceptance_probability(p, 500) == pytest.approx(exact, rel=1e-9, abs=1e-12)


def test_sampling_the_whole_lot_accepts_exactly_up_to_the_acceptance_number() -> None:
    plan = AcceptancePlan(20, 2)
    assert plan.acceptance_probability(0.10, 20) == 1.0
    assert plan.acceptance_probability(0.15, 20) == 0.0


def test_the_smallest_plan_meets_both_risks_and_one_vial_less_does_not() -> None:
    plan = smallest_plan(0.01, 0.05, 0.08, 0.10)
    assert plan.acceptance_probability(0.01) >= 0.95
    assert plan.acceptance_probability(0.08) <= 0.10
    for acceptance in range(plan.sample_size - 1):
        smaller = AcceptancePlan(plan.sample_size - 1, acceptance)
        assert smaller.acceptance_probability(0.01) < 0.95 or smaller.acceptance_probability(0.08) > 0.10, (
            "a smaller sample would do"
        )


def test_bad_plans_are_refused() -> None:
    with pytest.raises(InputError, match="acceptance"):
        AcceptancePlan(5, 5)
    with pytest.raises(InputError, match="larger than the lot"):
        AcceptancePlan(30, 0).acceptance_probability(0.1, 20)
    with pytest.raises(InputError, match="acceptable"):
        smallest_plan(0.1, 0.05, 0.05, 0.1)
