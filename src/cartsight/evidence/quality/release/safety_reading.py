"""Read the growth-based safety tests of a release specification."""

from __future__ import annotations

from cartsight.core.errors import InputError
from cartsight.evidence.quality.release.specification import RapidTest, SafetyTest
from cartsight.evidence.quality.release.toml_table import Table
from cartsight.evidence.quality.sterility import TimeToDetection, ph_eur_2627_volume_ml

SAFETY_KEYS = [
    "prior",
    "organisms_per_ml",
    "organisms_log_sd",
    "sample_ml",
    "median_days",
    "log_sd",
    "sensitivity",
    "read_day",
    "false_positive",
    "after_release",
    "cost",
    "rapid",
    "floor_released_contaminated",
]


def _detection(table: Table) -> TimeToDetection:
    return TimeToDetection(
        table.number("median_days", None, 1e-6),
        table.number("log_sd", None, 1e-6),
        table.number("sensitivity", 1.0, 1e-9, 1.0),
    )


def _sample_ml(table: Table, volume: float) -> float:
    if table.values.get("sample_ml") == "ph_eur_2.6.27":
        if volume <= 0:
            raise table.error("sample_ml", "sampling.product_volume_ml is needed for the rule of Ph. Eur. 2.6.27")
        try:
            return ph_eur_2627_volume_ml(volume)
        except InputError as error:
            raise error.located(file=table.file, field=table.at("sample_ml")) from None
    return table.number("sample_ml", None, 0.0)


def read_safety_test(table: Table, name: str, volume: float) -> SafetyTest:
    """Return the test of one `[safety.<name>]` table; `volume` is that of the product, in mL."""
    table.only(SAFETY_KEYS)
    rapid = None
    if table.has("rapid"):
        inner = table.table("rapid")
        inner.only(["median_days", "log_sd", "sensitivity", "read_day", "false_positive", "sample_ml", "cost"])
        rapid = RapidTest(
            _detection(inner),
            inner.number("read_day", None, 0.0),
            inner.probability("false_positive", 0.0),
            _sample_ml(inner, volume),
            inner.number("cost", 0.0, 0.0),
        )
    return SafetyTest(
        name=name,
        prior=table.probability("prior"),
        organisms_per_ml=table.number("organisms_per_ml", None, 0.0),
        organisms_log_sd=table.number("organisms_log_sd", 0.0, 0.0),
        sample_ml=_sample_ml(table, volume),
        detection=_detection(table),
        read_day=table.number("read_day", None, 0.0),
        false_positive=table.probability("false_positive", 0.0),
        after_release=table.flag("after_release"),
        cost=table.number("cost", 0.0, 0.0),
        rapid=rapid,
        floor_released_contaminated=(
            table.probability("floor_released_contaminated") if table.has("floor_released_contaminated") else None
        ),
    )
