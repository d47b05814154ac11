"""The xlsx workbook: the results as numbers, nothing that a spreadsheet would run, whole or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from cartsight.comparison.results import Comparison
from cartsight.core.errors import InputError
from cartsight.outcomes.qaly_breakdown import STATES
from cartsight.reporting import tables
from cartsight.reporting.run_convergence import run_convergence
from cartsight.reporting.run_folder import RunRecord, write_run_folder
from cartsight.reporting.workbook import qaly_states, workbook_sheets, write_workbook

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(comparison: Comparison, document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = {
        "draws": tables.draw_table(comparison),
        "draw_results": tables.draw_result_table(comparison),
        "numbers": tables.number_table(document["numbers"]),
    }
    record = RunRecord(document, comparison.scenario, (), made, None)
    return write_run_folder(tmp_path_factory.mktemp("runs") / "run", record, started=STARTED)


@pytest.fixture(scope="module")
def book(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("book") / "run.xlsx"
    write_workbook(folder, path)
    return openpyxl.load_workbook(path)


def rows(book: Any, name: str) -> list[dict[str, Any]]:
    header, *body = book[name].iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in body]


def test_sheets(book: Any) -> None:
    assert book.sheetnames == [
        "About",
        "Inputs",
        "Assumptions",
        "Sources",
        "Results",
        "Costs",
        "QALYs",
        "Frontier",
        "Differences",
        "CEAC",
        *([] if "EVPPI" not in book.sheetnames else ["EVPPI"]),
        "One-way",
        "Scenario analyses",
        "Severity",
        "Health states",
        "Validation",
        "Draws",
        "Draw results",
        "CHEERS 2022",
    ]


def test_sheets_for_reviewers(book: Any, document: dict[str, Any]) -> None:
    found = rows(book, "Scenario analyses")
    table = document["reviewer"]["scenarios"]
    assert len(found) == len(table["rows"]) * len(document["arms"])
    assert found[0]["QALYs"] == pytest.approx(table["rows"][0]["arms"][0]["qalys"])
    severity = {row["What"]: row["Value"] for row in rows(book, "Severity")}
    assert severity["Weight of NICE"] == document["reviewer"]["severity"]["shortfall"]["weight"]
    at_two_years = [row for row in rows(book, "Health states") if row["Months since referral"] == 24]
    for arm in document["arms"]:
        shares = [row["Share of the referred"] for row in at_two_years if row["Arm"] == arm["label"]]
        assert sum(shares) == pytest.approx(1.0, abs=1e-4)


def test_inputs_carry_their_sources(book: Any, document: dict[str, Any]) -> None:
    found = rows(book, "Inputs")
    assert len(found) == len(document["numbers"])
    by_field = {row["Field"]: row for row in found}
    assert by_field["population.female"]["Evidence row"] == "EC183"
    assert by_field["population.female"]["Citation"]
    assert by_field["population.waiting_utility"]["Value"] == 0.7
    assert "crump2017scholar1" in by_field["population.waiting_utility"]["Source"]


def test_results_costs_and_frontier_are_those_of_the_run(book: Any, document: dict[str, Any]) -> None:
    arms = {arm["label"]: arm for arm in document["arms"]}
    for row in rows(book, "Results"):
        # openpyxl writes 16 digits.
        mean = arms[row["Arm"]]["metrics"][row["Metric"]]["mean"]
        assert row["Mean"] == (None if mean is None else pytest.approx(mean, rel=1e-15))
    for label, arm in arms.items():
        costs = [row for row in rows(book, "Costs") if row["Arm"] == label]
        column = "Discounted, usd_2024 per referred patient"
        total = next(row[column] for row in costs if row["Category"] == "total")
        assert total == pytest.approx(arm["metrics"]["cost_per_referred"]["base"], rel=1e-9)
    frontier = {row["Arm"]: row for row in rows(book, "Frontier")}
    assert frontier.keys() == arms.keys()


def test_qalys_by_state_sum_to_the_total(book: Any) -> None:
    column = "QALYs per referred patient, discounted"
    for label in {row["Arm"] for row in rows(book, "QALYs")}:
        of_arm = {row["Health state"]: row[column] for row in rows(book, "QALYs") if row["Arm"] == label}
        states = [value for state, value in of_arm.items() if state not in {"total", "life-years"}]
        assert len(states) == len(STATES)
        assert sum(states) == pytest.approx(of_arm["total"], rel=1e-9)
        assert of_arm["total"] <= of_arm["life-years"]


def test_acceptability_sums_to_one_and_draws_are_complete(book: Any, comparison: Comparison) -> None:
    for row in rows(book, "CEAC"):
        assert sum(value for name, value in row.items() if name.startswith("Probability best")) == pytest.approx(1.0)
    draws, arms = comparison.clean_cost.shape
    assert len(rows(book, "Draws")) == draws
    table = rows(book, "Draw results")
    assert len(table) == draws * arms
    assert table[0]["cost_without_patient_noise"] == pytest.approx(comparison.clean_cost[0, 0], rel=1e-15)


def test_text_that_looks_like_a_formula_stays_text(folder: Path, tmp_path: Path) -> None:
    stored = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    stored["numbers"][0]["statement"] = '=HYPERLINK("http://x","y")\x07'
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "results.json").write_text(json.dumps(stored), encoding="utf-8")
    write_workbook(copy, tmp_path / "run.xlsx")
    page = openpyxl.load_workbook(tmp_path / "run.xlsx")["Inputs"]
    cell = page.cell(row=2, column=10)
    assert cell.value == '=HYPERLINK("http://x","y")'
    assert cell.data_type == "s"
    # The QALYs by state are those that the run kept: no second run, which another version might not repeat.
    sheet = next(sheet for sheet in workbook_sheets(copy) if sheet.name == "QALYs")
    arm = stored["arms"][0]
    assert [row[1] for row in sheet.rows[: len(STATES)]] == list(STATES)
    assert sheet.rows[0][2] == arm["qalys_by_state"][0]["discounted"]
    # A folder that kept none, without its resolved scenario: they are left out, and the sheet says so.
    for arm in stored["arms"]:
        del arm["qalys_by_state"]
    (copy / "results.json").write_text(json.dumps(stored), encoding="utf-8")
    sheet = next(sheet for sheet in workbook_sheets(copy) if sheet.name == "QALYs")
    assert str(sheet.rows[0][0]).startswith("Not available")


def test_a_run_that_cannot_be_repeated_has_no_states(folder: Path, document: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(document))
    changed["arms"][0]["metrics"]["qalys_per_referred"]["base"] += 0.1
    with pytest.raises(InputError, match="cannot be repeated"):
        qaly_states(folder, changed)


def test_an_existing_file_is_kept(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "kept.xlsx"
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="exists already"):
        write_workbook(folder, target)
    assert target.read_text(encoding="utf-8") == "mine"
    write_workbook(folder, target, force=True)
    assert target.stat().st_size > 1000
    assert [path.name for path in tmp_path.iterdir()] == ["kept.xlsx"]


@pytest.mark.parametrize(("name", "message"), [("out.xls", "ends in .xlsx"), ("missing/out.xlsx", "no such folder")])
def test_bad_targets(folder: Path, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_workbook(folder, tmp_path / name)


def test_not_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        write_workbook(tmp_path, tmp_path / "out.xlsx")
    assert not list(tmp_path.iterdir())


def test_convergence_reads_the_draws(folder: Path, comparison: Comparison) -> None:
    found = run_convergence(folder)
    draws = comparison.clean_cost.shape[0]
    assert found["draws"] == draws
    benefit = 150_000.0 * comparison.clean_effect - comparison.clean_cost
    best = int(benefit.mean(axis=0).argmax())
    assert found["best"] == comparison.arms[best]
    for a, arm in enumerate(found["arms"]):
        assert arm["cost"]["mean"][-1] == pytest.approx(comparison.clean_cost[:, a].mean(), rel=1e-12)
        assert arm["qalys"]["mean"][-1] == pytest.approx(comparison.clean_effect[:, a].mean(), rel=1e-12)
    assert found["evpi"][-1] == pytest.approx(benefit.max(axis=1).mean() - benefit.mean(axis=0).max(), rel=1e-12)
    assert np.all(np.asarray(found["evpi"]) >= -1e-9)
    assert found["margin"]["mean"][-1] == pytest.approx(found["margin_after_all_draws"], rel=1e-12)
    # The variance of the draws seen so far is that behind the number of draws needed.
    spread = (benefit[:, best] - benefit[:, comparison.arms.index(found["second"])]).std(ddof=1)
    assert found["draws_needed"] == max(
        2, int(np.ceil((1.959963984540054 * spread / found["margin_after_all_draws"]) ** 2))
    )
    assert (
        run_convergence(folder, wtp=0.0)["best"] == comparison.arms[int((-comparison.clean_cost).mean(axis=0).argmax())]
    )


def test_convergence_needs_draws(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "results.json").write_bytes((folder / "results.json").read_bytes())
    with pytest.raises(InputError, match="no table of draws"):
        run_convergence(copy)
    (copy / "tables").mkdir()
    (copy / "tables" / "draw_results.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match="cannot be read"):
        run_convergence(copy)
    with pytest.raises(InputError, match="must not be negative"):
        run_convergence(folder, wtp=-1.0)
