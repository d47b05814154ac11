"""What a person reads: widths, units, signs, labels."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from rich.console import Console

from cartsight.reporting import formatting as f
from cartsight.reporting.labels import anchor, label_of, short_label
from cartsight.reporting.terminal import print_document, print_flow, validation_line

NAN = math.nan


def printed(document: dict[str, Any], width: int) -> str:
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, highlight=False)
    print_document(console, document, report="runs/x/report.html", folder="runs/x")
    print_flow(console, document)
    return buffer.getvalue()


@pytest.mark.parametrize("width", [50, 80, 100, 160])
def test_table_fits_the_terminal(document: dict[str, Any], width: int) -> None:
    text = printed(document, width)
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= width
    # Nothing is cut with an ellipsis by the table.
    assert not [line for line in lines if line.rstrip().endswith("…")]
    flat = " ".join(text.split())
    for sentence in document["answer"]["sentences"]:
        assert " ".join(sentence.split()) in flat
    assert "Validation: 1 of 2 published figures met. Missed: A figure that is missed." in flat
    assert "runs/x/report.html" in text


def test_every_arm_is_shown_once_per_row(document: dict[str, Any]) -> None:
    text = printed(document, 80)
    for row in ("Days to infusion, median", "QALYs, discounted", "Net benefit", "Best, of draws"):
        assert text.count(row) >= 1
    assert validation_line({**document, "validation": []}) is None


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (412_345.0, "usd_2024", "$412,000"),
        (-412_345.0, "usd_2024", "−$412,000"),
        (1_234_567.0, "eur_2023", "€1.23 million"),
        (999_999.0, "usd_2024", "$1.00 million"),
        (0.0, "usd_2024", "$0"),
        (3.21, "gbp_2022", "£3.21"),
        (12.0, "sek_2020", "SEK 12"),
        (0.613, "probability", "61%"),
        (0.0613, "fraction", "6.1%"),
        (0.0, "probability", "0%"),
        (27.4, "days", "27"),
        (2.74, "days", "2.7"),
        (1.005, "qaly", "1.00"),
        (-0.001, "qaly", "0.00"),
        (NAN, "qaly", "–"),
        (None, "usd_2024", "–"),
    ],
)
def test_values_as_their_unit_is_read(value: float | None, unit: str, expected: str) -> None:
    assert f.show(value, unit) == expected


def test_other_forms() -> None:
    assert f.thousands(412_345.0, "usd_2024") == "$412k"
    assert f.thousands(-4_812.0, "usd_2024") == "−$4.8k"
    assert f.thousands(812.0, "usd_2024") == "$812"
    assert f.thousands(1_050_000.0, "usd_2024") == "$1.05m"
    assert f.exact_money(427_677.3, "usd_2024") == "$427,677"
    assert f.interval(0.2, 0.31, "probability") == "20% to 31%"
    assert f.interval(NAN, 0.31, "probability") == ""
    assert f.money_words("usd_2024") == "2024 US dollars"
    assert f.money_words("eur_2022/month") == "2022 euros per month"
    assert f.list_of(["a", "b", "c"]) == "a, b and c"
    assert f.list_of([]) == ""
    assert f.general(0.00001234) == "1.23e−05"
    assert f.general(1234.5) == "1,234"
    assert not f.is_money("per_day")
    assert f.is_money("jpy_2020")


def test_labels_of_paths() -> None:
    arms = {"auto-central": "Autologous, central"}
    assert label_of("arms.auto-central.efficacy.complete_response", arms) == "Autologous, central: complete response"
    assert label_of("arms.auto-central.price.per_patient", arms) == "Autologous, central: price per patient"
    assert label_of("population.other_care.survival.cured", arms) == "Other care, survival, cured"
    assert label_of("all of auto-central: efficacy", arms) == "Autologous, central: all efficacy parameters"
    assert label_of("all of population", arms) == "all population parameters"
    fewer = "the 8 most influential of 17 of auto-central: lots"
    assert label_of(fewer, arms) == "Autologous, central: the 8 most influential of 17 lots parameters"
    assert short_label("a short one") == "a short one"
    assert len(short_label("a label that is much longer than its room", 20)) <= 20
    assert anchor("arms.a b/c_d-e") == "arms.a~20b~2fc_d-e"
