"""Contract files: TOML into a contract and its patients, every key known, every error in the user's words.

Each table takes its canonical keys and a few natural spellings of them; an unknown key is refused with the nearest
known one. `docs/method/contracts.md` lists them all.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cartsight.core.errors import InputError, nearest
from cartsight.economics.contracts.clauses import Annuity, Clause, Milestone, UpFront
from cartsight.economics.contracts.cohort import CurvePatients
from cartsight.economics.contracts.contract import Contract
from cartsight.economics.contracts.curve import StatedCurve
from cartsight.economics.contracts.file_clauses import read_clause
from cartsight.economics.contracts.file_curves import read_curve
from cartsight.economics.contracts.file_table import Table
from cartsight.economics.contracts.terms import (
    Administration,
    Assessment,
    CounterpartyDefault,
    FollowUp,
    Terms,
    Turnover,
)

MAXIMUM_BYTES = 5_000_000
SHIPPED = Path(__file__).parent / "shipped"

_TABLES = (
    "clause",
    "curve",
    "survival_curve",
    "patients",
    "pool",
    "assessment",
    "follow_up",
    "turnover",
    "administration",
    "default",
    "discounting",
    "indexation",
    "risk",
    "registry",
    "simulation",
    "source",
)
_OTHER_SPELLINGS = {
    "clause": ("clauses",),
    "curve": ("remission_curve", "survival_in_remission"),
    "survival_curve": ("overall_survival",),
    "follow_up": ("loss_to_follow_up",),
    "turnover": ("payer_turnover",),
    "administration": ("tracking",),
    "default": ("counterparty_default",),
    "discounting": ("discount_rates",),
    "source": ("sources",),
}


@dataclass(frozen=True, slots=True)
class ContractSource:
    """Where a term of an agreement was read.

    Parameters
    ----------
    says : str
    evidence : str or None
        Row of the literature tables.
    confidence : {"high", "moderate", "low"}
    """

    says: str
    evidence: str | None
    confidence: str


@dataclass(frozen=True, slots=True)
class RegistryQuestion:
    """What the value of the registry's information needs to know; None where it was not stated."""

    value_of_success: float | None = None
    month: float = 12.0
    registry_patients: int = 100
    future_patients: float = 1000.0


@dataclass(frozen=True, slots=True)
class ContractFile:
    """A read contract file.

    Parameters
    ----------
    contract : Contract
        With price 0 when the file leaves the price to a scenario (`price_stated` is False).
    patients : CurvePatients or None
        None when the file states no curve.
    pool_patients, pool_years : size of a payer's pool, and how long it takes to treat it
    start_year : int or None
        Calendar year of the agreement's first day.
    trial_patients : int or None
        Size of the trial behind the curve.
    risk_aversion : float
    registry : RegistryQuestion
    simulated_patients : int or None
    seed : int or None
    sources : tuple of ContractSource
    warnings : tuple of str
    """

    path: Path
    name: str
    title: str
    description: str
    contract: Contract
    price_stated: bool
    patients: CurvePatients | None
    pool_patients: int = 100
    pool_years: float = 1.0
    start_year: int | None = None
    trial_patients: int | None = None
    risk_aversion: float = 1.0
    registry: RegistryQuestion = RegistryQuestion()
    simulated_patients: int | None = None
    seed: int | None = None
    confidence: str | None = None
    sources: tuple[ContractSource, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def shipped_contracts() -> dict[str, Path]:
    """Return the example agreements that come with the package: name -> file."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_contract(name_or_path: str | Path) -> Path:
    """Return the file of a path or of a shipped agreement's name.

    Raises
    ------
    InputError
        Neither; the message gives the nearest name.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = shipped_contracts()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    if path.is_dir():
        raise InputError("a contract is a TOML file, not a folder", file=path)
    raise InputError(
        "no such contract file, and no shipped agreement of that name",
        found=str(name_or_path),
        allowed=", ".join(shipped) or None,
        hint=nearest(str(name_or_path), shipped),
    )


def load_contract(name_or_path: str | Path) -> ContractFile:
    """Return the contract of a file or of a shipped name.

    Raises
    ------
    InputError
        Anything wrong with the file; the message names the file, the line where it can, and the field.
    """
    path = find_contract(name_or_path)
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise InputError("too large for a contract", file=path, found=path.stat().st_size, allowed="up to 5 MB")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", file=path, hint="Save the file as UTF-8.") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    if not text.strip():
        raise InputError("the file is empty", file=path, hint="A contract has a price and [[clause]] tables.")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not valid TOML: {error}", file=path) from None
    try:
        return read_contract(raw, path)
    except InputError as error:
        raise error.located(file=path, line=_line_of(text, error.found)) from None


def _line_of(text: str, found: object) -> int | None:
    """Return the only line on which an offending key or text stands, None when it is not sure."""
    if not isinstance(found, str) or not found:
        return None
    lines = [number for number, line in enumerate(text.splitlines(), start=1) if found in line.split("#")[0]]
    return lines[0] if len(lines) == 1 else None


def read_contract(raw: Mapping[str, Any], path: Path) -> ContractFile:
    """Return the contract of a parsed document."""
    top = Table("", dict(raw))
    name = top.text("name", default=path.stem)
    title = top.text("title", default=name)
    description = top.text("description", default="")
    currency = top.text("currency", "money", default="")
    price = top.number("price", "price_per_patient", "list_price", default=math.nan)
    confidence = top.choice("confidence", ("high", "moderate", "low"), default=None)
    rate = top.number("discount_rate", "discount_rate_per_year", "payer_discount_rate", default=math.nan)
    firm_rate = top.number("manufacturer_discount_rate", "firm_discount_rate", default=math.nan)
    stated_trial = top.integer("trial_patients", "trial_n", default=0)
    sections = {key: top.take(key, *_OTHER_SPELLINGS.get(key, ())) for key in _TABLES}
    top.finish(extra=_TABLES)
    warnings: list[str] = []
    discounting = _section(sections, "discounting")
    payer_rate = discounting.number("payer", "payer_rate", "rate", default=0.03 if math.isnan(rate) else rate)
    firm_default = payer_rate if math.isnan(firm_rate) else firm_rate
    manufacturer_rate = discounting.number("manufacturer", "manufacturer_rate", "firm", default=firm_default)
    discounting.finish()
    if math.isnan(rate) and "discounting" not in raw:
        warnings.append("no discount rate is stated: 3 % a year for both sides")
    for value, key in ((payer_rate, "discount_rate"), (manufacturer_rate, "manufacturer_discount_rate")):
        if not 0.0 <= value < 1.0:
            raise InputError("must be a rate per year from 0 to 1", field=key, found=value, hint="3 % a year is 0.03.")
    terms = Terms(
        payer_rate=payer_rate,
        manufacturer_rate=manufacturer_rate,
        indexation_per_year=_one(sections, "indexation", "per_year", "rate", "rate_per_year"),
        assessment=_assessment(_section(sections, "assessment")),
        follow_up=FollowUp(_one(sections, "follow_up", "lost_per_year", "loss_per_year", "loss_rate_per_year")),
        turnover=_turnover(_section(sections, "turnover")),
        default=_default(_section(sections, "default")),
        administration=_administration(_section(sections, "administration")),
    )
    contract = Contract(0.0 if math.isnan(price) else price, _clauses(sections["clause"]), terms, name, currency)
    charged = sum(
        clause.share or 0.0 for clause in contract.clauses if isinstance(clause, (UpFront, Milestone, Annuity))
    )
    if charged > 1.0 + 1e-9:
        warnings.append(f"payments add up to {charged:.0%} of the price")
    risk, registry = _section(sections, "risk"), _section(sections, "registry")
    risk_aversion = risk.number("aversion", "risk_aversion", default=1.0)
    risk.finish()
    question = RegistryQuestion(
        registry.optional("value_of_success"),
        registry.number("month", "success_month", default=max(contract.last_month, 1.0)),
        registry.integer("registry_patients", "patients", default=100),
        registry.number("future_patients", default=1000.0),
    )
    registry.finish()
    if not (1 <= question.registry_patients <= 100_000):
        raise InputError(
            "must be from 1 to 100 000", field="registry.registry_patients", found=question.registry_patients
        )
    pool, simulation = _section(sections, "pool"), _section(sections, "simulation")
    patients_table = _section(sections, "patients")
    pool_patients = pool.integer("patients", "size", default=100)
    pool_years = pool.number("years", "enrolment_years", default=1.0)
    if not 1 <= pool_patients <= 1_000_000 or not 0.0 < pool_years <= 100.0:
        raise InputError(
            "a pool has 1 to 1 000 000 patients and up to 100 years", field="pool", found=(pool_patients, pool_years)
        )
    start_year = pool.integer("start_year", default=0) or None
    pool.finish()
    trial = patients_table.integer("trial_patients", "trial_n", default=stated_trial) or None
    if question.value_of_success is not None and trial is None:
        warnings.append("the registry's information needs trial_patients: how well success is known now")
    patients = _patients(sections, patients_table, contract, warnings)
    simulated = simulation.integer("patients", default=0) or None
    seed = simulation.integer("seed", default=-1)
    simulation.finish()
    return ContractFile(
        path=path,
        name=name,
        title=title,
        description=description,
        contract=contract,
        price_stated=not math.isnan(price),
        patients=patients,
        pool_patients=pool_patients,
        pool_years=pool_years,
        start_year=start_year,
        trial_patients=trial,
        risk_aversion=risk_aversion,
        registry=question,
        simulated_patients=simulated,
        seed=None if seed < 0 else seed,
        confidence=confidence,
        sources=_sources(sections["source"]),
        warnings=tuple(warnings),
    )


def _section(sections: Mapping[str, Any], name: str) -> Table:
    raw = sections[name]
    if raw is None:
        return Table(name, {})
    if not isinstance(raw, dict):
        raise InputError("must be a table", field=name, found=raw, hint=f"Write [{name}].")
    return Table(name, dict(raw))


def _one(sections: Mapping[str, Any], name: str, *keys: str) -> float:
    """Return the only number of a table, which may also be given as `name = number`."""
    raw = sections[name]
    table = Table(name, {keys[0]: raw}) if isinstance(raw, (int, float)) else _section(sections, name)
    value = table.number(*keys, default=0.0)
    table.finish()
    return value


def _clauses(raw: Any) -> tuple[Clause, ...]:
    tables = _tables(raw, "clause", "A contract needs at least one [[clause]] table with a kind.")
    names: dict[str, int] = {}
    clauses: list[Clause] = []
    for number, table in enumerate(tables, start=1):
        clauses.extend(read_clause(Table(f"clause {number}", dict(table)), names))
    return tuple(clauses)


def _tables(raw: Any, name: str, hint: str) -> Sequence[Mapping[str, Any]]:
    if raw is None:
        raise InputError("missing", field=name, hint=hint)
    if isinstance(raw, dict):
        raw = [raw]
    if not isinstance(raw, list) or not raw or not all(isinstance(item, dict) for item in raw):
        raise InputError(f"must be one or more tables [[{name}]]", field=name, found=raw, hint=hint)
    return raw


def _sources(raw: Any) -> tuple[ContractSource, ...]:
    if raw is None:
        return ()
    found = []
    for number, record in enumerate(_tables(raw, "source", "Write [[source]]."), start=1):
        table = Table(f"source {number}", dict(record))
        says = table.text("says", "text", "note", default="")
        evidence = table.text("evidence", "id", default="") or None
        confidence = table.choice("confidence", ("high", "moderate", "low"), default="low")
        table.finish()
        found.append(ContractSource(says, evidence, str(confidence)))
    return tuple(found)


def _assessment(table: Table) -> Assessment:
    result = Assessment(
        table.number("sensitivity", default=1.0),
        table.number("specificity", default=1.0),
        table.number("payment_delay_months", "delay_months", default=0.0),
    )
    table.finish()
    return result


def _turnover(table: Table) -> Turnover:
    rules: dict[str, str] = {"lump": "lump_sum", "lump-sum": "lump_sum", "lumpsum": "lump_sum", "lump sum": "lump_sum"}
    result = Turnover(
        table.number("leaves_per_year", "rate_per_year", "turnover_per_year", "per_year", default=0.0),
        table.choice("rule", ("stop", "transfer", "lump_sum"), default="transfer", spellings=rules),  # type: ignore[arg-type]
        table.number("lump_sum_share", default=1.0),
    )
    table.finish()
    return result


def _default(table: Table) -> CounterpartyDefault:
    result = CounterpartyDefault(
        table.number("manufacturer_per_year", "firm_per_year", default=0.0),
        table.number("payer_per_year", default=0.0),
        table.number("recovery", default=0.0),
    )
    table.finish()
    return result


def _administration(table: Table) -> Administration:
    result = Administration(
        table.number("set_up_cost", "setup_cost", "set_up", default=0.0),
        table.number("cost_per_patient_year", "tracking_cost_per_patient_year", "tracking_cost", default=0.0),
        table.optional("months"),
        table.choice(  # type: ignore[arg-type]
            "paid_by", ("payer", "manufacturer"), default="payer", spellings={"firm": "manufacturer"}
        ),
    )
    table.finish()
    return result


def _patients(
    sections: Mapping[str, Any], table: Table, contract: Contract, warnings: list[str]
) -> CurvePatients | None:
    off = table.number("out_of_specification", default=0.0)
    remake = table.number("remake", "remake_probability", default=0.0)
    table.finish()
    for value, key in ((off, "patients.out_of_specification"), (remake, "patients.remake")):
        if not 0.0 <= value < 1.0:
            raise InputError("must be a probability below one", field=key, found=value)
    remission, survival = sections["curve"], sections["survival_curve"]
    if remission is None and survival is None:
        return None
    curve: StatedCurve | None = None
    endpoint = "remission"
    if remission is not None:
        first = _section(sections, "curve")
        endpoint = str(
            first.choice("endpoint", ("remission", "survival"), default="remission", spellings=_CURVE_ENDPOINTS)
        )
        curve = read_curve(first)
    alive = None if survival is None else read_curve(_section(sections, "survival_curve"))
    if curve is None:
        curve = alive
    assert curve is not None
    if endpoint == "survival":
        if alive is not None:
            raise InputError("survival is stated twice", field="survival_curve", hint="Leave out curve.endpoint.")
        alive = curve
    wanted = contract.endpoints
    if alive is None and "survival" in wanted:
        warnings.append("one curve is stated: it serves as survival as well")
        alive = curve
    if endpoint == "survival" and wanted - {"survival"}:
        warnings.append("only survival is stated: it serves as remission as well")
    return CurvePatients(curve, alive, off, remake)


_CURVE_ENDPOINTS = {
    "survival_in_remission": "remission",
    "relapse_free": "remission",
    "progression_free": "remission",
    "overall_survival": "survival",
    "os": "survival",
    "pfs": "remission",
    "efs": "remission",
}
