"""Failures from a release specification: `release_specification` in an arm's `process` or `lots` in place of flat numbers.

    [arms.central.process]
    release_specification = "release.toml"     # beside the scenario file
    release_region = "us"

The specification's lots are generated once, when the scenario is loaded, and condensed to the numbers of the section, with
origin `estimated`. A number is one decision: a file that names a specification and states what it supplies is refused; a
child file that names one replaces its parent's numbers. What the specification does not rest on anything (a policy, an
odds ratio without its covariate) the scenario keeps stating.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartsight.core.errors import InputError
from cartsight.scenario.shared_numbers import resolve_shared

if TYPE_CHECKING:
    from cartsight.evidence.quality.release.specification import ReleaseSpecification

KEY = "release_specification"
MARK = "release specification "
"""How the origin of a number that was derived here begins."""
LOTS_PER_DRAW = 4000
PATIENT = ("frailty", "age", "female")
"""Covariates that every simulated patient brings, beside `worsened`."""

Raw = dict[str, Any]
Law = Callable[[Any], Any]


def resolve_release(raw: Raw, path: Path, origin: Mapping[tuple[str, ...], Path], chain: Sequence[Path] = ()) -> Raw:
    """Return raw scenario data with the numbers that its release specifications supply.

    Parameters
    ----------
    raw : dict
        After `extends`, before shared numbers.
    path : Path
        The scenario file.
    origin : mapping
        Which file states a field; paths of specifications are relative to it.
    chain : sequence of Path
        The scenario's files, parents first.

    Raises
    ------
    InputError
        The specification cannot be read or used, or a number is stated beside it.
    """
    arms = raw.get("arms")
    if not isinstance(arms, dict):
        return raw
    changed: dict[str, Any] = {}
    for name, arm in arms.items():
        section = _section(arm)
        if section is None or _is_resolved(arm[section]):
            continue
        place = ("arms", str(name), section)
        file = origin.get((*place, KEY), path)
        try:
            changed[name] = _with_numbers(raw, str(name), arm, section, file, _Stated(origin, list(chain), file))
        except InputError as error:
            raise error.located(file=file, field=".".join((*place, KEY))) from None
    return {**raw, "arms": {**arms, **changed}} if changed else raw


def specification_files(raw: Raw, path: Path) -> tuple[Path, ...]:
    """Return the release specifications that one scenario file names itself, with paths relative to it."""
    arms = raw.get("arms")
    sections = (arm[s] for arm in arms.values() if (s := _section(arm)) is not None) if isinstance(arms, dict) else ()
    return tuple(dict.fromkeys(path.parent / str(section[KEY]) for section in sections))


def _section(arm: Any) -> str | None:
    for section in ("process", "lots"):
        if isinstance(arm, dict) and isinstance(arm.get(section), dict) and isinstance(arm[section].get(KEY), str):
            return section
    return None


def _is_resolved(section: Raw) -> bool:
    return any(isinstance(n, dict) and str(n.get("estimated", "")).startswith(MARK) for n in section.values())


class _Stated:
    """Whether a field that the specification supplies is stated beside it, and not only by a parent file."""

    def __init__(self, origin: Mapping[tuple[str, ...], Path], chain: list[Path], file: Path) -> None:
        self.origin, self.chain, self.file = origin, chain, file

    def refuse(self, place: tuple[str, ...], stated: bool) -> None:
        if not stated:
            return
        own = self.origin.get(place, self.file)
        older = own in self.chain and self.file in self.chain and self.chain.index(own) < self.chain.index(self.file)
        if older:
            return
        raise InputError(
            "stated twice: here and by the release specification",
            file=own,
            field=".".join(place),
            allowed="one of them",
            hint="Leave this number out, or take release_specification away ({ remove = true } in a child file).",
        )


def _with_numbers(raw: Raw, name: str, arm: Raw, section: str, file: Path, stated: _Stated) -> Raw:
    region = arm[section].get("release_region")
    if region is not None and not isinstance(region, str):
        raise InputError(
            "the name of a specification set is expected", field=f"arms.{name}.{section}.release_region", found=region
        )
    where = file.parent / arm[section][KEY]
    if not where.is_file():
        raise InputError(
            "no such release specification; its path is relative to this file",
            file=file,
            field=f"arms.{name}.{section}.{KEY}",
            found=arm[section][KEY],
        )
    specification = _read(where, region)
    of = f"{MARK}{arm[section][KEY]} ({specification.region})"
    if section == "process":
        laws = _patient_laws(raw, specification)
        numbers = _autologous(specification, of, laws, str(where), region)
    else:
        numbers = _lots(specification, of, str(where), region)
    new = dict(arm[section])
    costs = dict(arm["costs"]) if isinstance(arm.get("costs"), dict) else {}
    review = new.get("quality_assurance_review")
    if review is not None and specification.disposition.review_days > 0:
        raise InputError(
            "the review is stated twice: here and as review_days of the release specification",
            field=f"arms.{name}.{section}.quality_assurance_review",
        )
    for key, number in numbers.items():
        group, table = ("costs", costs) if key.startswith("quality_control_per") else (section, new)
        stated.refuse(("arms", name, group, key), key in table)
        table[key] = number
    for key in (
        ("manufacturing_failure", "odds_ratio_if_worsened", "infuse_out_of_specification")
        if section == "process"
        else ()
    ):
        if key not in new:
            raise InputError(
                f"{_WHY_NOT[key]}, so the scenario has to state {key}",
                field=f"arms.{name}.{section}.{key}",
                file=stated.file,
            )
    return {**arm, section: new, "costs": costs} if costs else {**arm, section: new}


_WHY_NOT = {
    "manufacturing_failure": "the release specification gives no process.termination_probability",
    "odds_ratio_if_worsened": 'the release specification has no covariate called "worsened"',
    "infuse_out_of_specification": "the release specification gives no disposition.use_out_of_specification",
}


def _read(path: Path, region: str | None) -> ReleaseSpecification:
    from cartsight.evidence.quality.release import read_release_specification

    return read_release_specification(path, region=region)


def _patient_laws(raw: Raw, specification: ReleaseSpecification) -> dict[str, Law]:
    """Return quantile functions of the scenario's patients for the covariates of the specification that they bring."""
    from pydantic import ValidationError

    from cartsight.core.normal import normal_quantile
    from cartsight.scenario.numbers import Probability, VariableYears

    wanted = {covariate.name for covariate in specification.covariates} & set(PATIENT)
    laws: dict[str, Law] = {}
    if "frailty" in wanted:
        laws["frailty"] = normal_quantile
    if not wanted - {"frailty"}:
        return laws
    try:
        population = resolve_shared({"arms": raw.get("arms"), "population": raw["population"]})["population"]
        if "age" in wanted:
            age = VariableYears.model_validate(population["age"]).distribution
            low, high = float(population.get("minimum_age", 18)), float(population.get("maximum_age", 90))
            laws["age"] = lambda u: age.quantile(u).clip(low, high)
        if "female" in wanted:
            share = Probability.model_validate(population["female"]).x
            laws["female"] = lambda u: (u < share).astype(float)
    except (ValidationError, InputError, KeyError, TypeError, ValueError, AttributeError):
        # whatever is wrong with the population, the scenario's own validation says it with field and line
        return {name: law for name, law in laws.items() if name == "frailty"}
    return laws


def _autologous(
    specification: ReleaseSpecification, of: str, laws: dict[str, Law], path: str, region: str | None
) -> Raw:
    from cartsight.evidence.quality.release.calibration import pathway_numbers

    stamp = _stamp(path)
    tag = tuple(sorted((name, float(law(_at(0.5))[0]), float(law(_at(0.9))[0])) for name, law in laws.items()))
    found = _cached(("pathway", path, region, stamp, tag), lambda: pathway_numbers(specification, laws=laws))
    drawn = _drawn(
        specification,
        lambda s: pathway_numbers(s, lots=LOTS_PER_DRAW, laws=laws),
        ("pathway", path, region, stamp, tag),
    )
    say = _Say(of, found.lots, found.seed, len(drawn))
    count = found.lots
    finished = round(count * (1.0 - found.manufacturing_failure))
    policy = specification.disposition
    numbers: Raw = {
        "out_of_specification": say.share(
            found.out_of_specification, finished, [d.out_of_specification for d in drawn]
        ),
        "patient_sd": say.positive(
            found.patient_sd, found.patient_sd_standard_error, [d.patient_sd for d in drawn], "log_odds"
        ),
    }
    if "process.termination_probability" in specification.stated:
        numbers["manufacturing_failure"] = say.share(
            found.manufacturing_failure, count, [d.manufacturing_failure for d in drawn]
        )
    if not math.isnan(found.odds_ratio_if_worsened):
        error = found.odds_ratio_if_worsened * found.odds_ratio_standard_error
        numbers["odds_ratio_if_worsened"] = say.positive(
            found.odds_ratio_if_worsened, error, [d.odds_ratio_if_worsened for d in drawn], "odds_ratio"
        )
    if "disposition.use_out_of_specification" in specification.stated:
        numbers["infuse_out_of_specification"] = say.share(
            found.infuse_out_of_specification, max(found.failures, 1), [d.infuse_out_of_specification for d in drawn]
        )
    if "disposition.approval_days" in specification.stated:
        numbers["out_of_specification_approval"] = say.constant(policy.approval_days, "days")
    if found.release_testing_days_mean > 0:
        numbers["release_testing"] = say.days(found.release_testing_days_mean, found.release_testing_days_sd, finished)
    if specification.process.remake_wait_days > 0:
        numbers["remake_wait"] = say.constant(specification.process.remake_wait_days, "days")
    if specification.money is not None:
        numbers["quality_control_per_batch"] = say.constant(found.cost_of_testing, f"{specification.money}/batch")
    if found.effects:
        numbers["failure_log_odds"] = {
            name: say.signed(slope, [d.effects.get(name, 0.0) for d in drawn]) for name, slope in found.effects.items()
        }
    return numbers


def _lots(specification: ReleaseSpecification, of: str, path: str, region: str | None) -> Raw:
    from cartsight.evidence.quality.release.lot_numbers import lot_numbers

    key = ("lots", path, region, _stamp(path), ())
    found = _cached(key, lambda: lot_numbers(specification))
    drawn = _drawn(specification, lambda s: lot_numbers(s, lots=LOTS_PER_DRAW), key)
    say = _Say(of, found.lots, found.seed, len(drawn))
    finished = round(found.lots * (1.0 - found.failure))
    numbers: Raw = {
        "failure": say.share(found.failure, found.lots, [d.failure for d in drawn]),
        "rejection": say.share(found.rejection, finished, [d.rejection for d in drawn]),
    }
    if found.release_testing_days_mean > 0:
        numbers["release_testing"] = say.days(found.release_testing_days_mean, found.release_testing_days_sd, finished)
    if not math.isnan(found.doses_per_lot) and not math.isnan(found.doses_per_lot_cv):
        error = found.doses_per_lot * found.doses_per_lot_cv / math.sqrt(max(found.released, 1))
        numbers["doses_per_lot"] = say.positive(found.doses_per_lot, error, [d.doses_per_lot for d in drawn], "count")
        numbers["doses_per_lot_cv"] = say.positive(
            found.doses_per_lot_cv, 0.0, [d.doses_per_lot_cv for d in drawn], "ratio"
        )
    if specification.money is not None:
        numbers["quality_control_per_lot"] = say.constant(found.cost_of_testing, f"{specification.money}/lot")
    return numbers


class _Say:
    """Number tables of a scenario with their origin and their uncertainty.

    Uncertainty is that of the specification's own numbers, where it says what they were estimated from, together with
    the Monte Carlo error of the generated lots.
    """

    def __init__(self, of: str, lots: int, seed: int, draws: int) -> None:
        known = (
            f"its centres and variances drawn {draws} times" if draws else "its centres and variances taken as known"
        )
        self.of = f"{of}: {lots} generated lots, seed {seed}; {known}"

    def share(self, value: float, of: int, draws: list[float]) -> Raw:
        if not 0.0 <= value <= 1.0:
            raise InputError(
                "the release specification lets no batch be finished, so nothing can be estimated", found=value
            )
        error = math.sqrt(value * (1.0 - value) / of)
        number: Raw = {"value": value, "unit": "probability", "estimated": f"{self.of}; Monte Carlo error {error:.2g}"}
        if not draws or value in (0.0, 1.0):
            return {**number, "events": round(value * of), "of": of}
        floor = 0.5 / LOTS_PER_DRAW
        logits = [_logit(min(max(p, floor), 1.0 - floor)) for p in draws if not math.isnan(p)]
        sd = math.hypot(_sd(logits), error / (value * (1.0 - value)))
        ends = [1.0 / (1.0 + math.exp(-(_logit(value) + sign * 1.96 * sd))) for sign in (-1.0, 1.0)]
        return {**number, "low": ends[0], "high": ends[1], "interval": "credible_95"}

    def positive(self, value: float, error: float, draws: list[float], unit: str) -> Raw:
        error = 0.0 if math.isnan(error) else error
        number: Raw = {"value": value, "unit": unit, "estimated": f"{self.of}; Monte Carlo error {error:.2g}"}
        if unit == "log_odds":
            # a standard deviation near its bound: no law that could turn negative
            reach = 3.0 * math.hypot(_sd([d for d in draws if not math.isnan(d)]), error)
            if reach == 0.0:
                return {**number, "certain": "no error of the generated lots"}
            return {**number, "low": max(value - reach, 0.0), "high": value + reach, "interval": "range"}
        logs = [math.log(d) for d in draws if d > 0.0]
        sd = math.hypot(_sd(logs), error / value if value > 0 else 0.0)
        if sd == 0.0 or value <= 0.0:
            return {**number, "certain": "no error of the generated lots"}
        low, high = value * math.exp(-1.96 * sd), value * math.exp(1.96 * sd)
        return {**number, "low": low, "high": high, "interval": "credible_95"}

    def signed(self, value: float, draws: list[float]) -> Raw:
        number: Raw = {"value": value, "unit": "log_odds", "estimated": self.of}
        sd = _sd(draws)
        if sd == 0.0:
            return {**number, "certain": "the specification's numbers are taken as known"}
        return {**number, "low": value - 1.96 * sd, "high": value + 1.96 * sd, "interval": "credible_95"}

    def days(self, mean: float, sd: float, of: int) -> Raw:
        number: Raw = {
            "value": mean,
            "unit": "days",
            "estimated": f"{self.of}; Monte Carlo error {sd / math.sqrt(of):.2g}",
        }
        number["certain"] = "the times of the tests are those of the specification"
        return {**number, "law": "lognormal", "cv": min(sd / mean, 10.0)} if sd > 0.0 else number

    def constant(self, value: float, unit: str) -> Raw:
        return {"value": value, "unit": unit, "estimated": self.of, "certain": "stated by the specification"}


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def _sd(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


# A command loads its scenario more than once; the lots of a specification are generated once for a file as it is.
_cache: dict[tuple[Any, ...], Any] = {}


def _cached(key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
    if key not in _cache:
        if len(_cache) >= 32:
            _cache.clear()
        _cache[key] = compute()
    return _cache[key]


def _drawn(
    specification: ReleaseSpecification, numbers: Callable[[ReleaseSpecification], Any], key: tuple[Any, ...]
) -> list[Any]:
    if specification.data_behind is None:
        return []
    from cartsight.evidence.quality.release.uncertainty import draw_specification

    count = specification.data_behind.draws
    return list(
        _cached(
            (*key, "draws"),
            lambda: [numbers(draw_specification(specification, specification.seed, k)) for k in range(count)],
        )
    )


def _stamp(path: str) -> tuple[int, int]:
    state = Path(path).stat()
    return state.st_mtime_ns, state.st_size


def _at(u: float) -> Any:
    import numpy as np

    return np.array([u])
