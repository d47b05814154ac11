"""The HTML report: one file that opens without a network and without scripts, built from the results document alone."""

from __future__ import annotations

from typing import Any

from cartsight.reporting import formatting
from cartsight.reporting.answer import net_benefit_at_threshold
from cartsight.reporting.labels import anchor
from cartsight.reporting.meanings import meanings
from cartsight.reporting.palette import arm_colours, arm_dashes
from cartsight.reporting.report_tables import (
    cost_rows,
    input_sections,
    number_link,
    shown_value,
    uncertainty_words,
    validation_rows,
)
from cartsight.reporting.review_section import review_section
from cartsight.reporting.terminal import validation_line

RESOURCE_NAMES = {
    "line": "production line",
    "quality control": "release-testing place",
    "operators": "operator team",
    "quality assurance": "batch-record review",
}


def report_html(document: dict[str, Any]) -> str:
    """Return the report of a results document.

    Parameters
    ----------
    document : dict
        From `summarise` or `summarise_point_values`, or read from a results.json.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("cartsight.reporting", "templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "money",
        "exact_money",
        "thousands",
        "percent",
        "days",
        "plain_number",
        "general",
        "show",
        "interval",
        "money_words",
    ):
        environment.filters[name] = getattr(formatting, name)
    environment.filters["anchor"] = anchor
    environment.filters["shown"] = shown_value
    environment.filters["uncertainty_words"] = uncertainty_words
    environment.filters["link"] = lambda row: number_link(row, document)
    places = {row["state"]: place for place, row in enumerate(document["arms"][0]["qalys_by_state"])}
    used = {row["state"] for arm in document["arms"] for row in arm["qalys_by_state"] if row["undiscounted"]}
    return environment.get_template("report.html").render(
        d=document,
        colours=arm_colours(document["arms"]),
        dashes=arm_dashes(document["arms"]),
        labels={arm["name"]: arm["label"] for arm in document["arms"]},
        benefit=net_benefit_at_threshold(document),
        means=meanings(document),
        charts=_charts(document),
        sections=input_sections(document),
        validation=validation_rows(document),
        validation_line=validation_line(document),
        unit=document["analysis"]["money"],
        cost_rows=cost_rows(document),
        resource_names=RESOURCE_NAMES,
        review=review_section(document),
        state_places=places,
        states_in_use=used,
        legends=_legends(document),
    )


def _legends(document: dict[str, Any]) -> dict[str, dict[str, str]]:
    from cartsight.reporting.charts import costs, drivers, goods, health_states, patients

    return {
        "days": patients.phase_colours(document),
        "states": health_states.state_colours(document),
        "costs": costs.cost_colours(document),
        "goods": costs.cost_of_goods_colours(document),
        "bearers": goods.bearers_colours(document),
        "tornado": {"at the low end of its interval": drivers.LOW, "at the high end": drivers.HIGH},
    }


def _charts(document: dict[str, Any]) -> dict[str, Any]:
    # Altair takes a second to import; who only wants the document should not wait for it.
    from cartsight.reporting.charts import costs, decision, drivers, flow_diagram, goods, health_states, patients

    found: dict[str, Any] = {
        "flow": {arm["name"]: flow_diagram.flow_diagram(document, arm) for arm in document["arms"]},
        "days": patients.days_chart(document),
        "incidence": patients.time_to_infusion_chart(document),
        "survival": patients.survival_chart(document),
        "states": health_states.states_chart(document),
        "costs": costs.cost_chart(document),
        "goods": costs.cost_of_goods_chart(document),
        "bearers": goods.bearers_chart(document),
    }
    decided = document["decision"] is not None
    found |= {
        "benefit": decision.net_benefit_chart(document) if decided else None,
        "plane": decision.plane_chart(document) if decided else None,
        "acceptability": decision.acceptability_chart(document) if decided else None,
        "loss": decision.expected_loss_chart(document) if decided else None,
        "convergence": decision.convergence_chart(document) if decided else None,
        "tornado": drivers.tornado_chart(document) if decided else None,
        "evppi": drivers.evppi_chart(document, "parameters") if decided else None,
        "evppi_groups": drivers.evppi_chart(document, "groups") if decided else None,
    }
    return found
