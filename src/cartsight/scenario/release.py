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

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartsight.core.errors import InputError
from cartsight.scenario.release_fields import AUTOLOGOUS, LOTS
from cartsight.scenario.shared_numbers import resolve_shared

if TYPE_CHECKING:
    from cartsight.evidence.quality.release.scenario_numbers import Numbers
    from cartsight.evidence.quality.release.specification import ReleaseSpecification

KEY = "release_specification"
MARK = "release specification "
"""How the origin of a number that was derived here begins."""
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
        if section is None:
            _refuse_region_alone(str(name), arm)
            continue
        if _is_resolved(arm[section]):
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


def _refuse_region_alone(name: str, arm: Any) -> None:
    for section in ("process", "lots"):
        stated = arm.get(section) if isinstance(arm, dict) else None
        if isinstance(stated, dict) and "release_region" in stated and KEY not in stated:
            field = f"arms.{name}.{section}.release_region"
            raise InputError("a region of no release specification", field=field, allowed=f"with {KEY}")


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
    of = f"{MARK}{arm[section][KEY]}"
    numbers = _numbers(raw, specification, section, of, where)
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
        table[key] = {k: n.table() for k, n in number.items()} if isinstance(number, dict) else number.table()
    needed = AUTOLOGOUS if section == "process" else LOTS
    for key, why in _WHY_NOT.items():
        if key in needed and key not in new:
            raise InputError(
                f"{why}, so the scenario has to state {key}", field=f"arms.{name}.{section}.{key}", file=stated.file
            )
    return {**arm, section: new, "costs": costs} if costs else {**arm, section: new}


_WHY_NOT = {
    "failure": "the release specification gives no process.termination_probability",
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


def _numbers(raw: Raw, specification: ReleaseSpecification, section: str, of: str, path: Path) -> Numbers:
    """Return what the specification supplies; generated once for a file as it is, since a command may load twice."""
    from cartsight.evidence.quality.release.scenario_numbers import autologous_numbers, numbers_of_lots

    state = path.stat()
    key: tuple[Any, ...] = (section, str(path.resolve()), of, specification.region, state.st_mtime_ns, state.st_size)
    if section == "lots":
        return _remembered(key, lambda: numbers_of_lots(specification, name=of))
    laws = _patient_laws(raw, specification)
    tag = tuple((name, *_probe(law)) for name, law in sorted(laws.items()))
    return _remembered((*key, tag), lambda: autologous_numbers(specification, name=of, laws=laws))


_memory: dict[tuple[Any, ...], Any] = {}


def _remembered(key: tuple[Any, ...], compute: Callable[[], Numbers]) -> Numbers:
    if key not in _memory:
        if len(_memory) >= 32:
            _memory.clear()
        _memory[key] = compute()
    found: Numbers = _memory[key]
    return found


def _probe(law: Law) -> tuple[float, ...]:
    """Return quantiles that tell one law of the patients from another."""
    import numpy as np

    return tuple(np.asarray(law(np.linspace(0.005, 0.995, 100)), dtype=np.float64).tolist())
