"""Stores, depots, inspection and recall: doses are conserved, bad lots are withdrawn, nobody is served twice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cartsight.comparison import metrics
from cartsight.comparison.single_arm import run_arms
from cartsight.core.errors import InputError
from cartsight.outcomes.response import response_intercepts
from cartsight.scenario.arms import LotArm
from cartsight.simulation import FlowResult
from cartsight.simulation.pathways import run_flow
from cartsight.simulation.pathways import trajectory as t
from tests.lots_floor_builder import allogeneic_floor, fill, with_lots
from tests.scenario_builder import Raw, build, days, number, per_year, probability
from tests.simulation.test_lots_floor import in_vivo_floor, whole_run


def small_lots(**changes: Any) -> Raw:
    """Return a floor whose lots have about ten doses, so that many are made."""
    small = fill(amount_per_dose=number(2e9, "cells"), release_samples=1, retains=0, minimum_doses=5)
    return allogeneic_floor(fill=small, order_up_to=80, initial_stock=20, lines=12, **changes)


def recall(chance: float | None = 0.2, found_after: float = 60.0, odds: float = 0.5) -> Raw:
    """Return a recall."""
    raw: Raw = {"found_after": days(found_after), "odds_ratio_of_response": number(odds, "odds_ratio")}
    if chance is not None:
        raw["probability"] = probability(chance)
    return raw


def depots() -> Raw:
    """Return two depots; the region in the middle is served from the central store."""
    return {
        "northern": {
            "regions": ["north"],
            "reorder_point": 8,
            "order_up_to": 16,
            "initial_stock": 10,
            "transport": days(2),
            "delivery": days(1),
        },
        "southern": {
            "regions": ["south"],
            "reorder_point": 4,
            "order_up_to": 10,
            "transport": days(5),
            "delivery": days(1),
            "shelf_life": days(30),
        },
    }


def three_regions(raw: Raw, patients: int = 800) -> Raw:
    """Return the scenario with three regions."""
    raw["population"]["regions"] = {
        name: {"referrals_per_year": per_year(rate), "hospitals": 2}
        for name, rate in (("north", 200), ("middle", 120), ("south", 80))
    }
    raw["analysis"]["patients"] = patients
    return raw


def balance(result: FlowResult) -> tuple[int, int]:
    """Return (doses that entered all stores from lots or at the start, doses accounted for)."""
    names = list(result.on_hand)
    places = [name for name in names if name == "doses" or name.startswith("doses/")]
    rows = np.isin(result.batches.stock, [names.index(name) for name in places])
    moved = result.lots.ended("arrived") if "arrived" in result.lots.statuses else np.zeros(len(result.lots), bool)
    if "recalled" in result.lots.statuses and len(places) > 1:
        moved |= result.lots.ended("recalled") & ~np.isnan(result.lots.mark("left the central store"))
    entered = int(result.batches.doses[rows].sum()) - int(moved.sum())
    taken = int(result.doses.doses[result.doses.patient >= 0].sum())
    lost = sum(
        int(result.lots.ended(status).sum())
        for status in ("expired in transit", "withdrawn in transit")
        if status in result.lots.statuses
    )
    use = [result.stock(name) for name in places]
    gone = sum(stock.expired + stock.withdrawn for stock in use)
    return entered, taken + lost + int(gone) + sum(result.on_hand[name] for name in places)


@pytest.mark.parametrize("with_recall", [False, True])
@pytest.mark.parametrize("with_depots", [False, True])
def test_doses_are_conserved(with_recall: bool, with_depots: bool) -> None:
    changes: dict[str, Any] = {"thaw_loss": probability(0.1), "shelf_life": days(50)}
    if with_recall:
        changes["recall"] = recall(found_after=15.0)
    if with_depots:
        changes["depots"] = depots()
    _, result = whole_run(three_regions(with_lots(small_lots(**changes))))
    entered, accounted = balance(result)
    assert entered == accounted
    assert result.stock("doses").expired > 0
    if with_recall:
        assert result.stock("doses").withdrawn > 0


def test_a_recall_that_never_matters_changes_no_patient() -> None:
    free = run_flow(build(with_lots(small_lots())), "allogeneic", 3).trajectories
    late = small_lots(recall=recall(found_after=50_000.0, odds=1.0))
    same = run_flow(build(with_lots(late)), "allogeneic", 3).trajectories
    np.testing.assert_array_equal(free.end_day, same.end_day)
    np.testing.assert_array_equal(free.lot_effect, same.lot_effect)
    assert same.extra["bad_lot"].any()


def test_bad_lots_reach_fewer_patients_the_sooner_they_are_found() -> None:
    reach, withdrawn = [], []
    for found_after in (0.0, 120.0, 1000.0):
        # Enough stock that nobody waits for a lot, to be served from it before anything can be found.
        raw = with_lots(
            small_lots(recall=recall(found_after=found_after))
            | {"reorder_point": 150, "order_up_to": 200, "initial_stock": 200}
        )
        raw["analysis"]["patients"] = 2000
        plant = run_flow(build(raw), "allogeneic", 3).plant
        assert plant is not None
        bad, lots = plant.counts["bad lots released"], plant.released
        assert abs(bad / lots - 0.2) < 4 * math.sqrt(0.16 / lots)
        reach.append(plant.counts["patients treated from bad lots"] / bad)
        withdrawn.append(plant.counts["doses withdrawn"])
    assert reach[0] == 0.0 < reach[1] < reach[2]
    assert withdrawn[0] > withdrawn[1] > withdrawn[2] == 0.0


def test_patients_of_bad_lots_respond_less_and_suffer_more() -> None:
    harm = recall(0.5, 400.0, 0.05) | {"odds_ratio_of_adverse_events": number(4.0, "odds_ratio")}
    raw = with_lots(small_lots(recall=harm, lot_effect_sd=number(0.0, "log_odds"), donors={"effect_sd": None}))
    raw["analysis"]["patients"] = 3000
    run = run_arms(build(raw), 3, ("allogeneic",))["allogeneic"]
    infused = run.trajectories.infused
    bad = (run.trajectories.extra["bad_lot"] > 0) & infused
    good = ~bad & infused
    assert min(bad.sum(), good.sum()) > 500
    np.testing.assert_allclose(run.trajectories.lot_effect[bad], math.log(0.05))
    assert (run.trajectories.lot_effect[good] == 0.0).all()
    response = run.outcomes.response > 0
    assert response[bad].mean() < 0.5 * response[good].mean()
    name = next(iter(run.outcomes.adverse_events))
    event = run.outcomes.adverse_events[name]
    p = build(raw).arms["allogeneic"].toxicity.events[name].probability.x  # type: ignore[union-attr]
    for rows, chance in ((good, p), (bad, 4 * p / (1 - p + 4 * p))):
        assert abs(event[rows].mean() - chance) < 4 * math.sqrt(chance * (1 - chance) / rows.sum())


def test_inspection_lets_through_what_the_operating_characteristic_says() -> None:
    sampling = {
        "sample_size": 8,
        "acceptance": 0,
        "bad_lots": probability(0.4),
        "defective_in_bad": probability(0.1),
        "defective_in_good": probability(0.02),
    }
    small = fill(amount_per_dose=number(8e8, "cells"), release_samples=0, retains=0, minimum_doses=5)
    lots = allogeneic_floor(sampling=sampling, recall=recall(None), rejection=probability(0.0), fill=small)
    raw = with_lots(lots)
    raw["analysis"]["patients"] = 6000
    scenario, result = whole_run(raw)
    arm = scenario.arms["allogeneic"]
    assert isinstance(arm, LotArm)
    accepted = {True: 0.9**8, False: 0.98**8}
    assert arm.lots.sampling is not None
    assert arm.lots.sampling.consumers_risk == pytest.approx(accepted[True])
    assert arm.lots.sampling.producers_risk == pytest.approx(1 - accepted[False])
    share = 0.4 * accepted[True] / (0.4 * accepted[True] + 0.6 * accepted[False])
    assert arm.lots.bad_share_of_released == pytest.approx(share)
    inspected = ~np.isnan(result.lots.mark("lot filled")) & (result.lots.attribute("partial") == 0)
    inspected &= result.lots.ended("released", "recalled", "rejected")
    released = ~np.isnan(result.lots.mark("lot released"))
    bad = result.lots.attribute("bad") > 0
    for kind, chance in accepted.items():
        rows = inspected & (bad == kind)
        assert rows.sum() > 40
        assert abs(released[rows].mean() - chance) < 4 * math.sqrt(chance * (1 - chance) / rows.sum())


def test_each_region_is_served_by_its_depot_and_waits_for_its_delivery() -> None:
    raw = three_regions(with_lots(small_lots(depots=depots())))
    raw["arms"]["allogeneic"]["order_to_delivery"] = days(6)
    scenario, result = whole_run(raw)
    names = list(result.on_hand)
    place = {0: "doses/northern", 1: "doses", 2: "doses/southern"}
    region = result.patients.attribute("region").astype(int)
    to_patients = result.doses.patient >= 0
    for row, stock in zip(result.doses.patient[to_patients], result.doses.stock[to_patients], strict=True):
        assert names[stock] == place[region[row]]
    for number_of, delivery in ((0, 1.0), (1, 6.0), (2, 1.0)):
        shipped = result.patients.mark(t.SHIPMENT) - result.patients.mark(t.DOSE_TAKEN)
        mine = shipped[(region == number_of) & ~np.isnan(shipped)]
        np.testing.assert_allclose(mine, delivery)
    plant = run_flow(scenario, "allogeneic", 3).plant
    assert plant is not None
    assert [store.name for store in plant.stores] == ["central", "northern", "southern"]
    assert plant.counts["consignments to depots"] < plant.counts["doses sent to depots"]


def test_a_dose_at_a_depot_expires_when_its_lot_does_or_its_time_there_is_over() -> None:
    raw = three_regions(with_lots(small_lots(depots=depots(), shelf_life=days(40))))
    _, result = whole_run(raw)
    names = list(result.on_hand)
    batches, lots = result.batches, result.lots
    for stock, longest in (("doses/northern", math.inf), ("doses/southern", 30.0)):
        rows = np.flatnonzero((batches.stock == names.index(stock)) & (batches.day > 0))
        moved = lots.attribute("expires_on")[batches.lot[rows]]
        np.testing.assert_allclose(batches.expiry[rows], np.minimum(moved, batches.day[rows] + longest))


@pytest.mark.parametrize("seed", [3, 5, 7])
def test_a_longer_shelf_life_never_lets_more_expire(seed: int) -> None:
    expired = []
    for life in (30.0, 60.0, 120.0, 400.0):
        _, result = whole_run(with_lots(small_lots(shelf_life=days(life))), seed=seed)
        expired.append(result.stock("doses").expired / result.stock("doses").received)
    assert expired == sorted(expired, reverse=True)
    assert expired[0] > expired[-1]


def test_doses_lost_at_thaw_are_ordered_again() -> None:
    raw = with_lots(small_lots(thaw_loss=probability(0.25)))
    raw["analysis"]["patients"] = 2000
    _, result = whole_run(raw)
    lost = result.patients.log.count("dose lost at thaw", len(result.patients))
    taken = result.patients.log.count(t.DOSE_TAKEN, len(result.patients))
    shipped = result.patients.log.count(t.SHIPMENT, len(result.patients)).sum()
    assert abs(lost.sum() / shipped - 0.25) < 4 * math.sqrt(0.25 * 0.75 / shipped)
    infused = result.patients.ended("infused")
    np.testing.assert_array_equal(taken[infused], lost[infused] + 1)


def test_the_spread_between_donors_is_in_the_average_response() -> None:
    scenario = build(with_lots(allogeneic_floor(lot_effect_sd=number(0.4, "log_odds"))))
    arm = scenario.arms["allogeneic"]
    assert isinstance(arm, LotArm)
    assert arm.lots.response_sd == pytest.approx(0.5)
    alone = build(with_lots(allogeneic_floor(lot_effect_sd=number(0.5, "log_odds"), donors={"effect_sd": None})))
    other = alone.arms["allogeneic"]
    assert isinstance(other, LotArm)
    assert response_intercepts(arm) == pytest.approx(response_intercepts(other))


def test_metrics_of_lots_are_counts_over_counts() -> None:
    raw = three_regions(with_lots(small_lots(depots=depots(), recall=recall(found_after=30.0), shelf_life=days(60))))
    runs = run_arms(build(raw), 3, ("allogeneic", "autologous"))
    plant = runs["allogeneic"].plant
    assert plant is not None
    value = {
        name: metrics.metric(name).value(runs["allogeneic"])
        for name in metrics.metric_names()
        if name.startswith(("dose", "recall"))
    }
    assert value["doses_per_line_year"] == pytest.approx(plant.doses_received / (12 * plant.years))
    assert value["doses_per_released_lot"] == pytest.approx(plant.doses_received / plant.released)
    left = plant.doses_taken + plant.doses_expired + plant.counts["doses withdrawn"]
    assert value["doses_expired_share"] == pytest.approx(plant.doses_expired / left)
    assert 0.5 < value["dose_fill_rate"] <= 1.0
    reach = plant.counts["patients treated from bad lots"] / plant.counts["bad lots released"]
    assert value["recall_reach_patients_per_bad_lot"] == pytest.approx(reach)
    assert math.isnan(value["doses_per_fill_line_year"])
    assert math.isnan(metrics.metric("doses_expired_share").value(runs["autologous"]))


BAD_INPUT: dict[str, tuple[Raw, str]] = {
    "both": ({"doses_per_lot": number(40, "count")}, "doses_per_lot and expansion"),
    "neither": ({"expansion": None, "fill": None}, "give doses_per_lot"),
    "fill alone": ({"expansion": None}, "give doses_per_lot"),
    "unit": ({"fill": {"amount_per_dose": number(2e8, "transducing_units")}}, "must be in cells"),
    "minimum": ({"fill": {"minimum_doses": 500}}, "above what an average lot gives"),
    "no dose": ({"fill": {"amount_per_dose": number(1e13, "cells")}}, "gives no dose"),
    "level": ({"order_up_to": 30, "reorder_point": 10}, "below the doses of one lot"),
    "limit": ({"expansion": {"doublings_limit": number(5, "count")}}, "exceed expansion.doublings_limit"),
    "doublings twice": ({"expansion": {"culture": days(10), "doubling_time": days(1)}}, "either doublings"),
    "no doubling time": ({"expansion": {"doublings": None, "culture": days(10)}}, "either doublings"),
    "culture": ({"expansion": {"doublings": None, "culture": days(90), "doubling_time": days(9)}}, "part of manufact"),
    "recall": ({"recall": {"found_after": days(1), "odds_ratio_of_response": number(1, "odds_ratio")}}, "one of the two"),
    "region": (
        {"depots": {"d": {"regions": ["nroth"], "reorder_point": 1, "order_up_to": 2, "transport": days(1), "delivery": days(1)}}},
        "unknown region 'nroth'",
    ),
    "no regions": (
        {"depots": {"d": {"regions": [], "reorder_point": 1, "order_up_to": 2, "transport": days(1), "delivery": days(1)}}},
        "depots.d.regions",
    ),
    "two depots": (
        {
            "depots": {
                name: {"regions": ["north"], "reorder_point": 1, "order_up_to": 2, "transport": days(1), "delivery": days(1)}
                for name in ("a", "b")
            }
        },
        "served by another depot",
    ),
    "substance": (
        {
            "expansion": None,
            "fill": {"amount_per_dose": number(2e8, "transducing_units"), "minimum_doses": None},
            "drug_substance": {
                "kind": "viral",
                "volume": number(5, "litres"),
                "titre": number(1e7, "transducing_units_per_millilitre"),
                "recovery": probability(0.3),
            },
        },
        "in vivo arms",
    ),
    "shared": ({"shared": {"other_use_fraction": probability(0.99), "campaign": days(9)}}, "must not exceed 0.95"),
    "source": ({"donors": None, "cell_bank": {"master_vials": 1, "working_vials": 9, "reorder_point": 1, "qualification": days(9), "qualification_failure": probability(0.1), "doublings": number(20, "count")}}, "cell_source"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BAD_INPUT))
def test_what_makes_no_sense_is_refused_in_words(case: str) -> None:
    changes, message = BAD_INPUT[case]
    with pytest.raises(InputError, match=r"arms\.allogeneic") as caught:
        build(with_lots(allogeneic_floor(**changes)))
    assert message in str(caught.value)


def test_in_vivo_arms_take_a_drug_substance_that_fits_their_vector() -> None:
    raw = in_vivo_floor()
    raw["arms"]["in_vivo"]["vector"] = "mrna_lnp"
    with pytest.raises(InputError, match="does not fit vector"):
        build(raw)
