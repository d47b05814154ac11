"""The [[clause]] tables of a contract file, by kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cartsight.core.errors import InputError
from cartsight.economics.contracts.clauses import (
    Annuity,
    Clause,
    FlatRebate,
    FreeRemake,
    Milestone,
    OutOfSpecification,
    Refund,
    UpFront,
)
from cartsight.economics.contracts.cohort import ENDPOINTS
from cartsight.economics.contracts.file_table import Table
from cartsight.economics.contracts.pooled_clauses import PooledFailure, PriceVolume, SpendingCap, Subscription
from cartsight.economics.contracts.terms import MISSING_DATA

_SPELLINGS = {
    "upfront": "up_front",
    "up_front_payment": "up_front",
    "upfront_payment": "up_front",
    "initial": "up_front",
    "instalment": "milestone",
    "installment": "milestone",
    "milestone_payment": "milestone",
    "outcome_payment": "milestone",
    "performance_annuity": "annuity",
    "annuity_with_stop": "annuity",
    "instalments": "annuity",
    "warranty": "refund",
    "declining_warranty": "refund",
    "money_back": "refund",
    "outcome_rebate": "refund",
    "volume": "price_volume",
    "price_volume_tiers": "price_volume",
    "tiered_price": "price_volume",
    "tiers": "price_volume",
    "spending_cap": "cap",
    "budget_cap": "cap",
    "pooled_failure_threshold": "pooled_failure",
    "aggregate_failure": "pooled_failure",
    "pool": "pooled_failure",
    "remake": "free_remake",
    "free_bridge": "free_remake",
    "out_of_specification_product": "out_of_specification",
    "oos": "out_of_specification",
    "off_specification": "out_of_specification",
    "rebate": "flat_rebate",
    "flat_discount": "flat_rebate",
    "discount": "flat_rebate",
}
_ENDPOINT_SPELLINGS = {
    "in_remission": "remission",
    "relapse": "remission",
    "progression": "remission",
    "relapse_free": "remission",
    "progression_free": "remission",
    "progression_free_survival": "remission",
    "event_free": "remission",
    "failure": "remission",
    "response": "remission",
    "alive": "survival",
    "death": "survival",
    "overall_survival": "survival",
    "cr": "complete_response",
    "complete_remission": "complete_response",
}
_MISSING_SPELLINGS = {
    "failed": "failure",
    "fail": "failure",
    "succeeded": "success",
    "last_observation": "last",
    "last_observation_carried_forward": "last",
    "locf": "last",
}


def read_clause(table: Table, names: dict[str, int]) -> tuple[Clause, ...]:
    """Return the clause of a table; price-volume tiers with a cap are two.

    Parameters
    ----------
    table : Table
    names : dict
        Names given so far, so that two clauses of a kind get different ones.
    """
    if "kind" not in table.raw and "type" not in table.raw:
        raise InputError("missing", field=table.path("kind"), allowed=", ".join(KINDS))
    kind = str(table.choice("kind", KINDS, "type", default=None, spellings=_SPELLINGS))
    name = table.text("name", "label", default="")
    if not name:
        words = kind.replace("_", " ")
        names[words] = names.get(words, 0) + 1
        name = words if names[words] == 1 else f"{words} {names[words]}"
    cap = table.optional("cap_per_year", "cap") if kind == "price_volume" else None
    try:
        clauses: tuple[Clause, ...] = (KINDS[kind](name, table),)
        if cap is not None:
            clauses = (*clauses, SpendingCap(f"{name}: cap", cap))
    except InputError as error:
        if error.field is not None and error.field.startswith(table.name):
            raise
        # A misspelt key is the likelier cause of a size that seems to be missing.
        if error.found is None or error.found == (None, None):
            table.finish()
        field = table.path((error.field or "").removeprefix(f"{name}: "))
        raise InputError(
            error.problem, field=field, found=error.found, allowed=error.allowed, hint=error.hint
        ) from None
    table.finish()
    return clauses


def _size(table: Table, default_share: float | None = None) -> dict[str, Any]:
    share = table.optional("share", "fraction", "share_of_price")
    percent = table.optional("percent", "share_percent")
    amount = table.optional("amount")
    if percent is not None:
        if share is not None:
            raise InputError("state either share or percent", field=table.path("share"), found=(share, percent))
        share = percent / 100.0
    if share is None and amount is None:
        share = default_share
    return {"share": share, "amount": amount}


def _date(table: Table, *, default: float | None = None) -> float | None:
    """Return a date in months after infusion, however it is spelt."""
    months = table.optional(
        "month", "date_months", "date_month", "at_month", "at_months", "months", "after_months", "time_months", "date"
    )
    years = table.optional("year", "date_years", "at_year", "at_years", "years", "time_years")
    days = table.optional("day", "date_days", "at_day", "days")
    given = [x for x in (months, years, days) if x is not None]
    if len(given) > 1:
        raise InputError("state one date", field=table.path("month"), found=given)
    if years is not None:
        return 12.0 * years
    if days is not None:
        return days / (365.25 / 12.0)
    return default if months is None else months


def _endpoint(table: Table, *other: str) -> Any:
    return table.choice("endpoint", ENDPOINTS, *other, default="remission", spellings=_ENDPOINT_SPELLINGS)


def _missing(table: Table, default: str) -> Any:
    return table.choice(
        "missing_data", MISSING_DATA, "missing", "missing_data_rule", default=default, spellings=_MISSING_SPELLINGS
    )


def _needed(table: Table, value: float | None, key: str) -> float:
    if value is None:
        raise InputError("missing", field=table.path(key))
    return value


def _up_front(name: str, table: Table) -> Clause:
    return UpFront(name, **_size(table, 1.0), month=_date(table, default=0.0) or 0.0)


def _milestone(name: str, table: Table) -> Clause:
    return Milestone(
        name,
        **_size(table),
        month=_needed(table, _date(table), "month"),
        endpoint=_endpoint(table),
        window_months=table.number("window_months", "window", default=0.0),
        missing_data=_missing(table, "failure"),
    )


def _annuity(name: str, table: Table) -> Clause:
    size = _size(table)
    each = table.optional("amount_per_payment", "payment")
    each_share = table.optional("share_per_payment")
    years = table.optional("years")
    interval = table.optional("interval_months", "every_months")
    per_year = table.optional("payments_per_year")
    if per_year is not None:
        if interval is not None or per_year <= 0.0:
            raise InputError("must be above zero, and alone", field=table.path("payments_per_year"), found=per_year)
        interval = 12.0 / per_year
    if interval is None:
        interval = 12.0
    if interval <= 0.0:
        raise InputError("must be above zero", field=table.path("interval_months"), found=interval)
    if years is not None and not 0.0 < years <= 100.0:
        raise InputError("must be above zero, up to 100", field=table.path("years"), found=years)
    count = table.integer(
        "payments", "number", "number_of_payments", "instalments", "n", default=round(12.0 * (years or 5.0) / interval)
    )
    if each is not None or each_share is not None:
        if size != {"share": None, "amount": None} or (each is not None and each_share is not None):
            raise InputError("state one size", field=table.path("amount_per_payment"))
        size = {
            "share": None if each_share is None else each_share * count,
            "amount": None if each is None else each * count,
        }
    if size == {"share": None, "amount": None}:
        size["share"] = 1.0
    stop = table.choice(
        "stop_on",
        (*ENDPOINTS, "none"),
        "stop",
        "endpoint",
        default="remission",
        spellings={**_ENDPOINT_SPELLINGS, "never": "none", "nothing": "none"},
    )
    return Annuity(
        name,
        **size,
        payments_count=count,
        interval_months=interval,
        first_month=table.number("first_month", "month", "start_month", default=0.0),
        stop_on=None if stop == "none" else stop,  # type: ignore[arg-type]
        missing_data=_missing(table, "failure"),
    )


def _refund(name: str, table: Table) -> Clause:
    size = _size(table, 1.0)
    until = table.optional("until_month", "until_months", "warranty_months", "until")
    until_years = table.optional("until_years", "until_year", "warranty_years")
    if until is None and until_years is not None:
        until = 12.0 * until_years
    steps = table.take("steps", "schedule")
    pairs = _pairs(table, "steps", steps, ("until_month", "share"))
    if pairs and until is None:
        until = pairs[-1][0]
    declining = table.take("declining")
    if declining is not None and not isinstance(declining, bool):
        raise InputError("must be true or false", field=table.path("declining"), found=declining)
    decline = table.choice("decline", ("none", "linear"), default="linear" if declining else "none")
    return Refund(
        name,
        **size,
        endpoint=_endpoint(table),
        month=_date(table),
        until_month=until,
        decline=decline,  # type: ignore[arg-type]
        steps=pairs,
        visit_every_months=table.number("visit_every_months", "visit_months", default=0.0),
        missing_data=_missing(table, "success"),
    )


def _pairs(table: Table, key: str, raw: Any, names: tuple[str, str]) -> tuple[tuple[float, float], ...]:
    """Return a list of [a, b] or of tables with two named numbers."""
    if raw is None:
        return ()
    if not isinstance(raw, list) or not raw:
        raise InputError("must be a list", field=table.path(key), found=raw)
    pairs = []
    for item in raw:
        if isinstance(item, dict):
            inner = Table(table.path(key), dict(item))
            other = {
                "until_month": ("month", "until_months"),
                "share": ("refund",),
                "above": ("above_patients", "from", "patients"),
                "rebate": ("discount", "share"),
            }
            first = inner.optional(names[0], *other[names[0]])
            second = inner.optional(names[1], *other[names[1]])
            if names[1] == "rebate" and second is None:
                price_share = inner.optional("price_share")
                second = None if price_share is None else 1.0 - price_share
            inner.finish()
            pairs.append((_needed(inner, first, names[0]), _needed(inner, second, names[1])))
        elif isinstance(item, list) and len(item) == 2:
            inner = Table(table.path(key), {names[0]: item[0], names[1]: item[1]})
            pairs.append((inner.number(names[0], default=0.0), inner.number(names[1], default=0.0)))
        else:
            raise InputError(f"must be pairs of {names[0]} and {names[1]}", field=table.path(key), found=item)
    return tuple(pairs)


def _price_volume(name: str, table: Table) -> Clause:
    tiers = _pairs(table, "tiers", table.take("tiers", "tier"), ("above", "rebate"))
    applies = table.choice(
        "applies_to", ("marginal", "all"), default="marginal", spellings={"all_units": "all", "retroactive": "all"}
    )
    return PriceVolume(name, tiers, applies)  # type: ignore[arg-type]


def _cap(name: str, table: Table) -> Clause:
    cap = table.optional("per_year", "cap_per_year", "amount_per_year", "amount", "cap")
    return SpendingCap(name, _needed(table, cap, "per_year"))


def _subscription(name: str, table: Table) -> Clause:
    fee = table.optional("amount_per_year", "fee_per_year", "amount")
    patients = table.optional("patients_per_year", "expected_patients_per_year", "patients")
    return Subscription(
        name,
        _needed(table, fee, "amount_per_year"),
        _needed(table, patients, "patients_per_year"),
        table.number("volume_ratio", default=1.0),
    )


def _pooled_failure(name: str, table: Table) -> Clause:
    return PooledFailure(
        name,
        **_size(table, 1.0),
        threshold=_needed(table, table.optional("threshold", "threshold_share", "failure_threshold"), "threshold"),
        month=_needed(table, _date(table, default=12.0), "month"),
        endpoint=_endpoint(table),
        basis=table.choice("basis", ("excess", "all"), default="excess"),  # type: ignore[arg-type]
        missing_data=_missing(table, "success"),
    )


def _free_remake(name: str, table: Table) -> Clause:
    return FreeRemake(name, **_size(table, 1.0), free=table.integer("free", "free_remakes", "remakes", default=1))


def _share_only(table: Table) -> float:
    size = _size(table)
    if size["amount"] is not None:
        raise InputError("takes a share, not an amount", field=table.path("amount"), found=size["amount"])
    return _needed(table, size["share"], "share")


def _out_of_specification(name: str, table: Table) -> Clause:
    paid = table.take("paid")
    if paid is not None:
        if not isinstance(paid, bool):
            raise InputError("must be true or false", field=table.path("paid"), found=paid)
        return OutOfSpecification(name, 1.0 if paid else 0.0)
    return OutOfSpecification(name, _share_only(table))


def _flat_rebate(name: str, table: Table) -> Clause:
    return FlatRebate(name, _share_only(table))


KINDS: dict[str, Callable[[str, Table], Clause]] = {
    "up_front": _up_front,
    "milestone": _milestone,
    "annuity": _annuity,
    "refund": _refund,
    "price_volume": _price_volume,
    "cap": _cap,
    "subscription": _subscription,
    "pooled_failure": _pooled_failure,
    "free_remake": _free_remake,
    "out_of_specification": _out_of_specification,
    "flat_rebate": _flat_rebate,
}
