"""Patient-level costs: one patient by hand, the ledger, closed-form discounting, run once and price many."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trajectory_builder as tb
from scenario_builder import build, money
from scipy.integrate import quad

from cartsight.core.errors import InputError
from cartsight.economics.pricing import (
    CATEGORIES,
    PatientCosts,
    bridging_start_day,
    cost_ledger,
    price_patients,
)
from cartsight.outcomes import Outcomes, simulate_outcomes
from cartsight.scenario import Scenario
from cartsight.simulation.pathways import trajectory as t

ARMS = ("autologous", "allogeneic", "in_vivo", "other_care")
MONTH = 365.25 / 12.0


def priced(arm: str, scenario: Scenario, n: int = 500) -> tuple[t.Trajectories, Outcomes, PatientCosts]:
    flow = tb.trajectories(n, modality=arm)
    outcomes = simulate_outcomes(flow, scenario, arm, 3)
    return flow, outcomes, price_patients(flow, outcomes, scenario, arm)


def test_every_category_of_an_infused_patient_by_hand() -> None:
    flow, r, costs = priced("autologous", build(analysis={"discount_rate_costs": 0.0}), 3000)
    relapsed = np.flatnonzero(
        np.isfinite(r.relapse_day) & r.aplasia & flow.bridged & ~flow.out_of_specification & r.dead
    )
    assert relapsed.size
    one = int(relapsed[0])
    dead, infusion, relapse = r.death_day[one], r.infusion_day[one], r.relapse_day[one]
    expected = {
        "pathway steps": 2_500.0,
        "waiting care": 2_500.0 * infusion / MONTH,
        "collection": 10_000.0,
        "bridging": 10_000.0 * (infusion - flow.day[t.LEUKAPHERESIS][one]) / MONTH,
        "product": 400_000.0,
        "lymphodepletion": 5_000.0,
        "infusion and stay": 60_000.0,
        "adverse events": sum(
            cost * r.adverse_events[name][one]
            for name, cost in (
                ("CRS grade 3+", 40e3),
                ("ICANS grade 3+", 30e3),
                ("prolonged cytopenia", 15e3),
            )
        ),
        "immunoglobulin": 2_000.0 * min(18.0, (dead - infusion) / MONTH),
        "redosing visits": 0.0,
        "follow-up": 12_000.0 * min(relapse - infusion, 365.25) / 365.25
        + 3_000.0 * max(relapse - infusion - 365.25, 0.0) / 365.25,
        "relapse care": 5_000.0 + 8_000.0 * (dead - relapse) / MONTH,
        "retreatment": 0.0,
        "later lines": 0.0,
        "transplant": 0.0,
        "secondary malignancy": 0.0,
        "other care": 0.0,
        "end of life": 20_000.0,
    }
    assert tuple(expected) == CATEGORIES
    for name, amount in expected.items():
        assert costs.of(name)[one] == pytest.approx(amount, rel=1e-12, abs=1e-9), name
    assert costs.total[one] == pytest.approx(sum(expected.values()))


def test_patients_never_infused_pay_no_product_and_get_other_care() -> None:
    flow, r, costs = priced("autologous", build(analysis={"discount_rate_costs": 0.0}))
    elsewhere = ~r.infused & (r.exit_day < r.survival_days)
    assert not costs.of("product")[~r.infused].any()
    assert costs.of("other care")[elsewhere] == pytest.approx(
        3_000.0 + 6_000.0 * (r.survival_days - r.exit_day)[elsewhere] / MONTH
    )
    died = flow.has_status(t.DIED)
    assert not costs.of("other care")[died].any()
    assert np.all(costs.of("end of life")[died] == 20_000.0)
    assert not costs.of("other care")[r.infused].any()


def test_out_of_specification_is_free_unless_the_contract_pays() -> None:
    flow, _, free = priced("autologous", build(), 2000)
    paid_scenario = build(arms={"autologous": {"price": {"paid_if_out_of_specification": True}}})
    _, _, paid = priced("autologous", paid_scenario, 2000)
    bad = flow.out_of_specification
    assert bad.any() and not free.of("product")[bad].any() and np.all(paid.of("product")[bad] > 0)
    assert np.array_equal(free.of("product")[~bad], paid.of("product")[~bad])


def test_discounting_of_stays_against_quadrature() -> None:
    _, r, costs = priced("autologous", build(analysis={"discount_rate_costs": 0.035}))
    one = int(np.flatnonzero(r.infused & np.isinf(r.relapse_care_day) & (r.life_years > 4.0))[0])
    start, end = r.infusion_day[one] / 365.25, r.survival_days[one] / 365.25
    first, _ = quad(lambda y: 12_000.0 * 1.035**-y, start, start + 1.0)
    later, _ = quad(lambda y: 3_000.0 * 1.035**-y, start + 1.0, end)
    assert costs.of("follow-up")[one] == pytest.approx(first + later, rel=1e-10)
    assert costs.of("product")[one] == pytest.approx(400_000.0 * 1.035**-start, rel=1e-12)


@pytest.mark.parametrize("arm", ARMS)
def test_present_value_without_discounting_is_nominal(arm: str) -> None:
    _, _, costs = priced(arm, build(analysis={"discount_rate_costs": 0.0}))
    assert costs.discounted == pytest.approx(costs.amount, rel=1e-13)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("rate", [0.0, 0.03, 0.2])
def test_ledger_sums_to_the_totals(arm: str, rate: float) -> None:
    scenario = build(analysis={"discount_rate_costs": rate})
    flow, r, costs = priced(arm, scenario)
    ledger = cost_ledger(flow, r, scenario, arm)
    assert ledger.categories == CATEGORIES
    assert ledger.by_patient_and_category() == pytest.approx(costs.amount.T, rel=1e-12, abs=1e-7)
    assert ledger.discounted(rate).by_patient_and_category() == pytest.approx(costs.discounted.T, rel=1e-11, abs=1e-7)
    assert ledger.time_days.min() >= 0.0
    assert np.all(ledger.time_days <= r.survival_days[ledger.patient] + 1e-6)


@pytest.mark.parametrize("arm", ARMS[:3])
def test_a_price_changes_the_product_and_nothing_else(arm: str) -> None:
    flow, r, costs = priced(arm, build())
    dearer = build(arms={arm: {"price": {"per_patient": money(500_000)}}})
    again = price_patients(flow, r, dearer, arm)
    changed = [name for name in CATEGORIES if not np.array_equal(costs.of(name), again.of(name))]
    assert changed == (["product", "retreatment"] if arm == "allogeneic" else ["product"])
    fresh = simulate_outcomes(flow, dearer, arm, 3)
    assert np.array_equal(fresh.qalys, r.qalys) and np.array_equal(fresh.death_day, r.death_day)


def test_retreatment_costs_product_and_hospital_at_the_relapse() -> None:
    _, r, costs = priced("allogeneic", build(analysis={"discount_rate_costs": 0.0}), 2000)
    assert r.retreated.any()
    assert np.all(costs.of("retreatment")[r.retreated] == 250_000.0 + 60_000.0 + 5_000.0)
    assert not costs.of("retreatment")[~r.retreated].any()


def test_redosing_visits_stop_at_death() -> None:
    flow, r, costs = priced("in_vivo", build(analysis={"discount_rate_costs": 0.0}), 4000)
    visit = flow.day[t.REDOSING_VISIT]
    came = np.isfinite(visit) & (visit <= r.survival_days)
    assert np.array_equal(costs.of("redosing visits") > 0, came)
    assert np.any(np.isfinite(visit) & ~came)


def test_at_cost_charges_the_cost_of_goods_in_place_of_the_price() -> None:
    scenario = build(analysis={"perspective": "health_system_at_cost", "discount_rate_costs": 0.0})
    flow = tb.trajectories(500)
    r = simulate_outcomes(flow, scenario, "autologous", 3)
    costs = price_patients(flow, r, scenario, "autologous", product_cost_per_infused=88_000.0)
    assert np.all(costs.of("product")[r.infused] == 88_000.0)  # out of specification or not
    for bad in (None, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="cost of goods"):
            price_patients(flow, r, scenario, "autologous", product_cost_per_infused=bad)


def test_horizon_cuts_costs() -> None:
    scenario = build(analysis={"horizon_years": 0.1, "discount_rate_costs": 0.0})
    flow, r, costs = priced("autologous", scenario)
    late = r.infused & (r.infusion_day > r.horizon_days)
    assert late.any() and not costs.of("product")[late].any()
    assert costs.of("waiting care").max() <= 2_500.0 * r.horizon_days / MONTH + 1e-9
    assert cost_ledger(flow, r, scenario, "autologous").time_days.max() <= r.horizon_days


def test_bridging_starts_at_collection_or_at_the_order() -> None:
    scenario = build()
    flow = tb.trajectories(200)
    start = bridging_start_day(flow, scenario)
    collected = np.isfinite(flow.day[t.LEUKAPHERESIS])
    assert np.array_equal(start[collected], flow.day[t.LEUKAPHERESIS][collected])
    stock = tb.trajectories(200, modality="allogeneic")
    assert np.array_equal(bridging_start_day(stock, scenario), stock.day["step: payer approval"])


def test_means_and_unknown_category() -> None:
    _, _, costs = priced("autologous", build())
    assert sum(costs.means().values()) == pytest.approx(costs.total_discounted.mean())
    assert costs.means(discounted=False)["product"] == costs.of("product", discounted=False).mean()
    with pytest.raises(InputError, match="Did you mean 'product'"):
        costs.of("produkt")


def test_bad_input() -> None:
    scenario = build()
    flow, r, _ = priced("autologous", scenario)
    with pytest.raises(InputError, match="unknown arm"):
        price_patients(flow, r, scenario, "autologus")
    with pytest.raises(InputError, match="another arm"):
        price_patients(flow, r, scenario, "allogeneic")
    with pytest.raises(InputError, match="different patients"):
        price_patients(tb.trajectories(10), r, scenario, "autologous")


@pytest.mark.parametrize("arm", ARMS)
def test_no_patients(arm: str) -> None:
    scenario = build()
    flow, r, costs = priced(arm, scenario, 0)
    assert costs.total.shape == (0,)
    assert len(cost_ledger(flow, r, scenario, arm)) == 0
