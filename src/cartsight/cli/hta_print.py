"""Tables of the hta commands, 80 to 100 columns wide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from cartsight.cli.output import stdout_console

if TYPE_CHECKING:
    from cartsight.comparison.partitioned_view import PartitionedView
    from cartsight.comparison.reviewer_draws import ReviewerDraws, SeverityDraws
    from cartsight.comparison.reviewer_views import EquityArm, SeverityView, SingleTherapyArm
    from cartsight.comparison.scenario_table import ScenarioTable
    from cartsight.reporting.cheers import CheersItem
    from cartsight.scenario import Scenario

_QUANTITIES = {
    "life_years": "Life-years",
    "life_years_discounted": "Life-years, discounted",
    "qalys": "QALYs, discounted",
    "cost": "Cost after infusion, discounted",
}

_RULES = {"full credit": "Credited", "shared savings": "Shared", "capped offsets": "Capped"}


def _table(*columns: str, left: int = 1) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position < left else "right")
    return table


def _say(text: str) -> None:
    stdout_console().print(text, markup=False)


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def print_partitioned(scenario: Scenario, views: Sequence[PartitionedView]) -> None:
    """Print patients beside both views, one table per arm."""
    for view in views:
        curves = view.extrapolated
        over = "over background mortality" if view.background else "all causes"
        _say(f"{scenario.arms[view.arm].label}: {view.infused} infused, time zero at the infusion")
        table = _table("Per infused patient", "Patients", "Error", "Complete", "Extrapolated", "Difference")
        for complete, cut in zip(view.complete_rows, view.extrapolated_rows, strict=True):
            digits = 0 if complete.quantity == "cost" else 2
            values = (complete.patients, complete.standard_error, complete.partitioned, cut.partitioned)
            mark = " *" if cut.beyond_tolerance else ""
            table.add_row(
                _QUANTITIES[complete.quantity],
                *(f"{value:,.{digits}f}" for value in values),
                f"{100 * cut.relative_difference:+.0f} %{mark}",
            )
        stdout_console().print(table)
        _say(
            f"Extrapolated from {view.follow_up_months:g} months: {curves.progression_free.label} for progression-free, "
            f"{curves.overall.label} for overall survival, {over}. * beyond {100 * view.tolerance:g} %.\n"
        )


def print_severity(scenario: Scenario, view: SeverityView, draws: SeverityDraws | None = None) -> None:
    """Print the shortfall, the weight and what it does to each arm, with the spread over parameter draws."""
    shortfall = view.shortfall
    _say(
        f"Established practice: {scenario.arms[view.current_care].label}. Discounted at {100 * view.discount_rate:g} %."
    )
    table = _table("QALYs per patient", "Value")
    table.add_row("Without the disease", f"{shortfall.without_disease:.2f}")
    table.add_row("Under established practice", f"{shortfall.with_disease:.2f}")
    table.add_row("Absolute shortfall", f"{shortfall.absolute:.2f} (error {view.shortfall_error:.2f})")
    table.add_row("Proportional shortfall", f"{shortfall.proportional:.3f}")
    table.add_row("Weight of NICE", f"{shortfall.weight:g}")
    console = stdout_console()
    console.print(table)
    table = _table("Arm", "Extra cost", "Extra QALYs", "Per QALY", "Weighted")
    for arm in view.arms:
        table.add_row(
            scenario.arms[arm.arm].label,
            _whole(arm.incremental_cost),
            f"{arm.incremental_qalys:.2f}",
            _whole(arm.icer),
            _whole(arm.weighted_icer),
        )
    console.print(table)
    if draws is not None:
        weights = ", ".join(f"{name} in {100 * share:.0f} %" for name, share in draws.probability_of_weight.items())
        _say(
            f"Over {draws.draws} parameter draws (mean, 95 % interval): absolute shortfall {_interval(draws.absolute, 2)}, "
            f"proportional {_interval(draws.proportional, 3)}; weight {weights} of the draws."
        )
    for remark in view.remarks:
        _say(remark)


def _interval(values: tuple[float, float, float], digits: int) -> str:
    mean, low, high = values
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def print_scenarios(scenario: Scenario, table: ScenarioTable, draws: ReviewerDraws | None = None) -> None:
    """Print the net benefit of each arm against the reference in every scenario analysis, with intervals over draws."""
    others = [name for name in scenario.arms if name != table.reference_arm]
    _say(
        f"Incremental net benefit against {scenario.arms[table.reference_arm].label}, thousand {table.money}, at the decision "
        f"threshold; {table.patients} patients, Monte Carlo error of the difference in brackets."
    )
    numbers = {name: str(position) for position, name in enumerate(scenario.arms, start=1)}
    shown = _table("Scenario", *(f"[{numbers[name]}]".replace("[", "\\[") for name in others), "Best")
    for row in table.rows:
        arms = {arm.arm: arm for arm in row.arms}
        cells = [
            f"{arms[name].incremental_net_benefit / 1e3:,.0f} ({arms[name].incremental_error / 1e3:,.0f})"
            for name in others
        ]
        shown.add_row(row.name, *cells, f"\\[{numbers[row.best]}]" + (" *" if row.decision_changes else ""))
    stdout_console().print(shown)
    _say(
        "; ".join(f"[{numbers[name]}] {arm.label}" for name, arm in scenario.arms.items())
        + ". * another arm than in the base case."
    )
    if draws is None:
        return
    _say(f"\n95 % intervals of the same difference over {draws.draws} parameter draws, thousand {table.money}:")
    spread = _table("Scenario", *(f"\\[{numbers[name]}]" for name in others), "Other best")
    for one in draws.rows:
        found = {arm.arm: arm for arm in one.arms}
        cells = [f"{found[name].low / 1e3:,.0f} to {found[name].high / 1e3:,.0f}" for name in others]
        spread.add_row(one.name, *cells, f"{100 * one.probability_decision_changes:.0f} %")
    stdout_console().print(spread)
    _say("Other best: share of the draws in which another arm is best than in the base case of the same draw.")


def print_single_therapy(scenario: Scenario, views: Sequence[SingleTherapyArm], remarks: Sequence[str]) -> None:
    """Print price and cost per QALY under the three rules."""
    wtp = views[0].scenarios.wtp
    _say(f"Against {scenario.arms[views[0].comparator].label}, at {wtp:,.0f} {scenario.analysis.money} per QALY.")
    _say("Price at which the arm's net benefit is that of the comparator, by who keeps the savings:")
    table = _table("Arm", "Price now", "Savings", *(_RULES[rule.name] for rule in views[0].scenarios.rules))
    for view in views:
        rules = view.scenarios.rules
        table.add_row(
            scenario.arms[view.arm].label,
            _whole(view.scenarios.price),
            _whole(rules[0].credited),
            *(_whole(rule.value_based_price) for rule in rules),
        )
    stdout_console().print(table)
    for remark in remarks:
        _say(remark)


def print_equity(scenario: Scenario, views: Sequence[EquityArm], *, lifetime: bool) -> None:
    """Print gains by group and the equally distributed equivalents of each arm."""
    health = "lifetime" if lifetime else "remaining"
    console = stdout_console()
    for view in views:
        _say(f"{scenario.arms[view.arm].label} instead of {scenario.arms[view.reference].label}, undiscounted QALYs")
        table = _table("Group", "Patients", "Gain", "Error", "Share of gain")
        for row in view.view.groups:
            mark = " few" if row.few else ""
            table.add_row(
                row.group,
                f"{row.patients}{mark}",
                f"{row.gain:+.2f}",
                f"{row.standard_error:.2f}" if row.patients > 1 else "–",
                f"{100 * row.share_of_gain:.0f} %",
            )
        console.print(table)
        table = _table(
            "Aversion", f"Equivalent, {health}", "Gain", "From the mean", "From distribution", "Atkinson index"
        )
        for at in view.view.by_aversion:
            table.add_row(
                f"{at.aversion:g}",
                f"{at.arm:.2f}",
                f"{at.gain:+.3f}",
                f"{at.standard_error:.3f}",
                f"{at.from_mean:+.3f}",
                f"{at.from_distribution:+.3f}",
                f"{at.atkinson_arm:.4f}",
            )
        console.print(table)
        console.print()


def print_cheers(items: Sequence[CheersItem]) -> None:
    """Print the checklist: answers first, what is still to write below each."""
    from cartsight.reporting.cheers import CITATION, cheers_counts

    counts = cheers_counts(tuple(items))
    _say(", ".join(f"{number} {status}" for status, number in counts.items()) + f" of {len(items)} items.")
    section = ""
    for item in items:
        if item.section != section:
            section = item.section
            _say(f"\n{section}")
        _say(f"{item.number:>2}. {item.topic} [{item.status}]")
        if item.answer:
            _say(f"    {item.answer}")
        if item.to_write:
            _say(f"    To write: {item.to_write}")
    _say(f"\nItems paraphrased from: {CITATION}")


def print_export(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Print the sheets of a workbook."""
    table = _table("Sheet", "Rows", "Columns")
    for row in rows:
        table.add_row(row["name"], str(row["rows"]), str(row["columns"]))
    stdout_console().print(table)
    stdout_console().print(f"Workbook: {path}", soft_wrap=True, markup=False)


def print_convergence(document: dict[str, Any]) -> None:
    """Print running estimates and the verdict."""
    _say(
        f"{document['draws']} draws, {document['wtp']:,.0f} {document['money']} per QALY: {document['best']} against {document['second']}"
    )
    table = _table("Draws", "Margin", "Low 95 %", "High 95 %", "EVPI", left=0)
    margin = document["margin"]
    for i, draws in enumerate(document["checkpoints"]):
        if i % 3 and i != len(document["checkpoints"]) - 1:
            continue
        cells = (margin["mean"][i], margin["low"][i], margin["high"][i], document["evpi"][i])
        table.add_row(str(int(draws)), *(_whole(float(value)) for value in cells))
    stdout_console().print(table)
    needed = document["draws_needed"]
    _say(
        f"The best arm has not changed since draw {document['stable_since']}; chance that Monte Carlo error put it first: "
        f"{100 * document['chance_of_wrong_arm']:.1f} %."
    )
    if needed is not None:
        enough = "reached" if needed <= document["draws"] else "not reached"
        _say(
            f"Independent draws for a chance below 2.5 %: {needed} ({enough}). Errors treat draws as independent: safe for designs."
        )
