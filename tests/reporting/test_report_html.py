"""The HTML report: opens alone, links that lead somewhere, numbers that lead to their evidence."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from scenario_builder import build, later_tables

from cartsight.comparison.compare import compare
from cartsight.comparison.results import Comparison
from cartsight.comparison.single_arm import run_arms
from cartsight.reporting.html import report_html
from cartsight.reporting.labels import anchor
from cartsight.reporting.report_tables import number_link
from cartsight.reporting.summary import summarise, summarise_point_values


class Reader(HTMLParser):
    """Collect ids, links, and every attribute that could load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if value is None:
                continue
            if name == "id":
                self.ids.append(value)
            if name in ("href", "xlink:href") and tag == "a":
                self.links.append(value)
            elif name in ("src", "srcset", "href", "xlink:href", "data", "poster", "action"):
                self.loads.append((tag, value))


def test_opens_without_network_or_script(page: str) -> None:
    reader = Reader(page)
    assert not reader.tags & {"script", "link", "iframe", "img", "object", "embed", "form"}
    assert all(value.startswith("#") for _, value in reader.loads)
    assert not re.search(r"url\(\s*['\"]?(?!#)", page)
    assert "@import" not in page
    assert len(page.encode()) < 3_000_000


def test_ids_are_unique_and_links_lead_somewhere(page: str) -> None:
    reader = Reader(page)
    assert len(reader.ids) == len(set(reader.ids))
    inside = [link.removeprefix("#") for link in reader.links if link.startswith("#")]
    assert inside
    assert not set(inside) - set(reader.ids)
    outside = [link for link in reader.links if not link.startswith("#")]
    assert all(link.startswith(("https://", "http://")) for link in outside)


def test_svg_references_stay_inside_their_chart(page: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= ids


def test_every_input_number_links_to_where_it_comes_from(page: str, document: dict[str, Any]) -> None:
    ids = set(Reader(page).ids)
    for row in document["numbers"]:
        assert f"input-{anchor(row['path'])}" in ids
        assert number_link(row, document) in ids
    for row in document["assumptions"]:
        assert f"assumption-{anchor(row['path'])}" in ids
    assert 'href="#evidence-EC183"' in page
    assert 'href="#source-crump2017scholar1"' in page


def test_sections_and_charts_are_there(page: str, document: dict[str, Any]) -> None:
    for section in (
        "answer", "arms", "flow", "time", "survival", "costs", "decision", "drivers", "validation", "assumptions", "inputs",
        "evidence", "limits", "methods",
    ):  # fmt: skip
        assert f'<section id="{section}">' in page
        assert f'<a href="#{section}">' in page
    for figure in (
        "benefit",
        "days",
        "incidence",
        "survival",
        "costs",
        "goods",
        "plane",
        "acceptability",
        "loss",
        "tornado",
    ):
        assert f'id="figure-{figure}"' in page
    assert page.index('id="assumptions"') < page.index('id="inputs"') < page.index('id="evidence"')
    assert page.index("A figure that is missed") < page.rindex("A figure that is met")
    for sentence in document["answer"]["sentences"]:
        assert sentence.split("“")[0].replace("&", "&amp;") in page


def test_text_of_a_scenario_is_escaped(page: str, document: dict[str, Any]) -> None:
    assert "a &lt;b&gt;bold&lt;/b&gt; &amp; risky reason" in page
    assert "<b>bold</b>" not in page
    changed = copy.deepcopy(document)
    changed["arms"][0]["label"] = 'Evil "><script>alert(1)</script>'
    assert "<script>" not in report_html(changed)


def test_no_missing_value_is_printed(page: str) -> None:
    text = re.sub(r"<[^>]+>", " ", page)
    assert not re.search(r"\b(nan|None|inf|undefined)\b", text)


@pytest.mark.parametrize("kept", [("autologous",), ("other_care",), ("in_vivo", "other_care")])
def test_reports_of_small_comparisons(kept: tuple[str, ...]) -> None:
    removed = {name: None for name in ("autologous", "allogeneic", "in_vivo", "other_care") if name not in kept}
    scenario = build(arms=removed, analysis={"patients": 60, "draws": 2})
    text = report_html(summarise(compare(scenario, workers=1)))
    assert len(Reader(text).ids) == len(set(Reader(text).ids))


def test_report_of_point_values_says_so() -> None:
    scenario = build(analysis={"patients": 60})
    text = report_html(summarise_point_values(scenario, run_arms(scenario, 3), seed=3))
    assert "Point values only" in text
    assert 'id="decision"' not in text


def test_reviewers_find_their_views_in_the_report(page: str, document: dict[str, Any]) -> None:
    section = page[page.index('<section id="reviewer">') : page.index('<section id="validation">')]
    for words in (
        "Scenario analyses",
        "Severity of the condition",
        "Single-therapy scenarios",
        "Who gains",
        "CHEERS 2022",
    ):
        assert f">{words}" in section
    for row in document["reviewer"]["scenarios"]["rows"]:
        assert row["description"] in section
    assert "compare --reviewer" in section
    assert len(page.encode()) < 1_000_000
    assert "<b>Assumption:</b> the decision holds for 5 years" in page or document["decision"]["evppi"] is None


def test_intervals_and_partitioned_survival_in_the_report(comparison: Comparison) -> None:
    few = replace(comparison.parameters, values=comparison.parameters.values[:10])
    document = summarise(replace(comparison, parameters=few), reviewer=True, workers=1)
    page = report_html(document)
    assert "compare --reviewer" not in page
    assert "Partitioned survival beside the patients" in page
    assert "95% interval over 10 parameter draws" in page
    assert "Another arm best, of draws" in page
    assert len(page.encode()) < 1_000_000


def test_reports_of_older_documents_without_the_views(document: dict[str, Any]) -> None:
    older = copy.deepcopy(document)
    del older["reviewer"]
    for arm in older["arms"]:
        del arm["states"], arm["later_course"]
    assert '<section id="reviewer">' not in report_html(older)


def test_later_lines_in_the_report() -> None:
    scenario = build(analysis={"patients": 60}, arms={"autologous": later_tables()})
    document = summarise_point_values(scenario, run_arms(scenario, 7), seed=7)
    arm = next(arm for arm in document["arms"] if arm["name"] == "autologous")
    assert [line["name"] for line in arm["later_course"]["lines"]] == ["bispecific", "chemotherapy"]
    assert "in response to a later line" in arm["states"]["shares"]
    page = report_html(document)
    assert "In response to a later line" in page and "Later lines" in page
    missing = [row["statement"] for row in document["not_modelled"] if "Second cancers" in row["statement"]]
    topics = [row["topic"] for row in document["not_modelled"] if "Second cancers" in row["statement"]]
    assert missing and topics == ["Allogeneic, In vivo"]
