"""Quantities, units, and the wall between variability and uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.core.distributions import Beta, LogNormal
from cartsight.core.errors import InputError, nearest
from cartsight.core.quantity import Provenance, Quantity, Uncertainty, Variability
from cartsight.core.units import BASE_UNITS, DAYS_PER_MONTH, conversion_factor, unit

REASON = Provenance("assumed", "a reason")


def test_uncertainty_and_variability_cannot_be_passed_for_one_another() -> None:
    between_patients = Variability(LogNormal(2.0, 0.3), "patients differ")
    with pytest.raises(TypeError, match="variability between patients is not uncertainty"):
        Quantity(7.4, "days", REASON, between_patients)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Uncertainty(between_patients, "wrong")  # type: ignore[arg-type]


def test_a_quantity_converts_with_its_uncertainty() -> None:
    quantity = Quantity(2.0, "months", REASON, Uncertainty(LogNormal(np.log(2.0), 0.2), "stated"))
    days = quantity.to("days")
    assert days.value == pytest.approx(2 * DAYS_PER_MONTH)
    assert days.uncertainty is not None
    assert days.uncertainty.law.median == pytest.approx(2 * DAYS_PER_MONTH)
    np.testing.assert_allclose(days.draw([0.5]), [days.value])


def test_rates_and_probabilities_are_never_confused() -> None:
    with pytest.raises(InputError, match="cannot be used"):
        conversion_factor("per_year", "probability")
    assert conversion_factor("percent", "probability") == pytest.approx(0.01)
    assert conversion_factor("per_month", "per_day") == pytest.approx(1 / DAYS_PER_MONTH)


def test_money_needs_a_price_year_and_converts_only_through_tables() -> None:
    with pytest.raises(InputError, match="price year"):
        unit("usd")
    with pytest.raises(InputError, match="index tables"):
        conversion_factor("usd_2019", "usd_2024")
    assert unit("usd_2024/dose").per == "dose"


def test_every_unit_of_the_list_is_known_and_unknown_ones_name_the_nearest() -> None:
    for name in BASE_UNITS:
        assert unit(name).factor > 0
    with pytest.raises(InputError, match="Did you mean 'days'"):
        unit("dayz")
    with pytest.raises(InputError, match="denominator"):
        unit("usd_2024/dosis")


def test_provenance_is_not_optional() -> None:
    with pytest.raises(InputError, match="origin"):
        Provenance("assumed", "  ")
    with pytest.raises(InputError, match="source"):
        Provenance("cited", "read somewhere")
    assert Provenance("cited", "x", "EC001", "key", verified=False).is_assumption
    assert not Provenance("cited", "x", "EC001", "key").is_assumption


def test_a_quantity_must_be_finite() -> None:
    with pytest.raises(InputError, match="finite"):
        Quantity(float("nan"), "days", REASON)
    certain = Quantity(0.5, "probability", REASON)
    np.testing.assert_array_equal(certain.draw([0.1, 0.9]), [0.5, 0.5])
    assert not certain.is_uncertain
    assert Quantity(0.5, "probability", REASON, Uncertainty(Beta(1, 1), "flat")).is_uncertain


def test_errors_say_where_what_and_what_is_allowed() -> None:
    error = InputError("out of bounds", field="a.b", found=1.2, allowed="0 to 1", hint=nearest("lenght", ["length"]))
    located = error.located(file="x.toml", line=3)
    assert str(located) == "x.toml:3: a.b: out of bounds; found 1.2; allowed: 0 to 1. Did you mean 'length'?"
    assert located.as_dict()["line"] == 3
    assert nearest("zzz", ["length"]) is None
