"""CHEERS 2022: all 28 items, filled where the file answers, and honest where it does not."""

from __future__ import annotations

from typing import Any

from scenario_builder import build

from cartsight.reporting.cheers import CITATION, cheers_checklist, cheers_counts
from cartsight.scenario import load_scenario

NEVER_IN_A_FILE = {4, 19, 21, 25, 27, 28}
RESULTS = {23, 24}


def test_28_items_in_the_order_of_the_statement() -> None:
    items = cheers_checklist(build())
    assert [item.number for item in items] == list(range(1, 29))
    assert [item.section for item in items] == (
        ["Title", "Abstract", "Introduction"] + ["Methods"] * 18 + ["Results"] * 4 + ["Discussion"] + ["Other"] * 2
    )
    assert {
        5: "Study population",
        10: "Discount rate",
        20: "Characterising uncertainty",
        28: "Conflicts of interest",
    }.items() <= {item.number: item.topic for item in items}.items()
    assert "10.1016/j.jval.2021.11.1351" in CITATION


def test_a_scenario_answers_methods_and_leaves_results_open() -> None:
    items = {item.number: item for item in cheers_checklist(build())}
    assert {number for number, item in items.items() if item.status == "open"} == NEVER_IN_A_FILE | RESULTS | {2}
    assert "40 years from referral" in items[9].answer
    assert "3 % a year for costs and 3 % for effects" in items[10].answer
    assert "USD of 2024" in items[15].answer
    assert "Mean age 60 years. 40 % women." in items[5].answer
    assert "400 referrals a year from 1 region(s): north" in items[6].answer
    for label in ("Autologous", "Allogeneic", "In vivo", "Other care"):
        assert label in items[7].answer


def test_open_items_say_what_to_write_and_answered_ones_do_not() -> None:
    items = cheers_checklist(build())
    for item in items:
        assert (item.status == "open") == (item.answer == "")
        assert (item.status == "answered") == (item.to_write == "")
    counts = cheers_counts(items)
    assert sum(counts.values()) == 28


def test_a_run_answers_results(document: dict[str, Any]) -> None:
    items = {item.number: item for item in cheers_checklist(document)}
    assert items[23].status == "answered"
    assert "QALYs" in items[23].answer and "usd_2024" in items[23].answer
    assert items[24].status == "partly"
    assert "Probability of the highest net benefit" in items[24].answer
    assert items[2].status == "partly"
    assert "1 of 2 published figures" in items[17].answer
    assert {number for number, item in items.items() if item.status == "open"} == NEVER_IN_A_FILE


def test_shipped_scenarios_fill_it() -> None:
    for name in ("lbcl-third-line-us", "myeloma-late-line-us", "sle-refractory-us"):
        counts = cheers_counts(cheers_checklist(load_scenario(name)))
        assert counts["answered"] + counts["partly"] >= 18
