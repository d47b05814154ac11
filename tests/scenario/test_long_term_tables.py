"""Later lines, transplant and secondary malignancy in a scenario file: what is read, cited, drawn and refused."""

from __future__ import annotations

from typing import Any

import pytest
from scenario_builder import build, days, later_tables, minimal_scenario, money, number, probability

from cartsight.comparison.parameter_draws import uncertain_paths
from cartsight.core.errors import InputError


def test_their_numbers_are_listed_converted_and_drawn() -> None:
    tables = later_tables()
    tables["secondary_malignancy"]["probability"] = {"evidence": "EC287"}
    tables["transplant"]["cost"] = number(200_000, "usd_2018", relative_sd=0.2, spread_reason="for tests")
    scenario = build(arms={"autologous": tables})
    numbers = scenario.numbers()
    stem = "arms.autologous"
    assert numbers[f"{stem}.after_relapse.lines.bispecific.response"].x == 0.4
    assert numbers[f"{stem}.secondary_malignancy.probability"].quantity.provenance.evidence_id == "EC287"
    assert numbers[f"{stem}.transplant.cost"].quantity.unit == scenario.analysis.money
    assert {f"{stem}.secondary_malignancy.probability", f"{stem}.transplant.cost"} <= set(uncertain_paths(scenario))
    moved = scenario.with_values({f"{stem}.after_relapse.lines.bispecific.share": 0.1})
    line = moved.arms["autologous"].after_relapse.lines["bispecific"]  # type: ignore[union-attr]
    assert line.share.x == 0.1


def test_a_scenario_without_them_has_the_hash_it_had() -> None:
    arm = build().model_dump(mode="json", exclude_none=True)["arms"]["autologous"]
    assert not {"after_relapse", "transplant", "secondary_malignancy"} & set(arm)


def broken(change: Any) -> dict[str, Any]:
    raw = minimal_scenario()
    tables = later_tables()
    change(tables)
    raw["arms"]["autologous"] |= tables
    return raw


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["after_relapse"].update(lines={}), "lines"),
        (lambda t: t["after_relapse"]["lines"]["bispecific"].update(chance=probability(0.1)), "chance"),
        (lambda t: t["after_relapse"]["lines"]["bispecific"].update(share=probability(1.2)), "share"),
        (lambda t: t["after_relapse"]["lines"]["bispecific"].pop("response"), "response"),
        (lambda t: t["after_relapse"]["lines"]["bispecific"].pop("cost_per_month"), "paid_for_at_most"),
        (lambda t: t["after_relapse"]["lines"]["bispecific"].update(assessment=money(5)), "assessment"),
        (lambda t: t.pop("after_relapse"), "share_in_later_response"),
        (lambda t: t["transplant"].update(hazard_ratio_of_relapse=number(-1, "hazard_ratio")), "hazard_ratio"),
        (lambda t: t["transplant"].pop("cost"), "cost"),
        (lambda t: t["secondary_malignancy"].update(probability=probability(1.0)), "below one"),
        (lambda t: t["secondary_malignancy"].update(within=days(0)), "within"),
    ],
)
def test_slips_are_one_message(change: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        build(broken(change))
    assert words in str(caught.value)


def test_an_arm_without_a_product_has_none_of_it() -> None:
    raw = minimal_scenario()
    raw["arms"]["other_care"]["after_relapse"] = later_tables()["after_relapse"]
    with pytest.raises(InputError, match="after_relapse"):
        build(raw)
