"""Read a release specification from TOML. Keys and meanings: docs/method/lot_release.md."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.release.safety_reading import read_safety_test
from cartsight.evidence.quality.release.scales import SCALE_NAMES, Scale
from cartsight.evidence.quality.release.specification import (
    LEVELS,
    RESULT_RULES,
    RETEST_RULES,
    Assay,
    Attribute,
    Covariate,
    Disposition,
    Float,
    Limits,
    Loss,
    Process,
    ReleaseSpecification,
    Retest,
    Target,
    cholesky,
)
from cartsight.evidence.quality.release.toml_table import INFINITE, Table
from cartsight.evidence.quality.release.uncertainty import read_data_behind

LARGEST_FILE_BYTES = 2_000_000

TOP = [
    "product",
    "region",
    "lots",
    "seed",
    "process",
    "covariates",
    "attributes",
    "correlation",
    "safety",
    "sampling",
    "specifications",
    "disposition",
    "loss",
    "guard_band",
    "money",
    "uncertainty",
]


def read_release_specification(
    path: Path | str, *, region: str | None = None, product: str | None = None
) -> ReleaseSpecification:
    """Read a specification file.

    Parameters
    ----------
    path : path
        TOML in UTF-8.
    region, product : str, optional
        Override the file's own choice of specification set.

    Raises
    ------
    InputError
        Missing, unreadable or invalid; the message names file and key.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("no such file", file=path)
    if path.is_dir():
        raise InputError("this is a folder, not a TOML file", file=path)
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise InputError("the file is too large for a specification", file=path, found=path.stat().st_size)
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("the file is not UTF-8 text", file=path, hint=f"Byte {error.start} cannot be read.") from None
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", file=path) from None
    try:
        values = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not valid TOML: {error}", file=path) from None
    return build_release_specification(values, file=str(path), region=region, product=product)


def build_release_specification(
    values: Mapping[str, Any], *, file: str = "specification", region: str | None = None, product: str | None = None
) -> ReleaseSpecification:
    """Return a specification from the parsed content of a file."""
    top = Table(values, file, "")
    top.only(TOP)
    own = {"product": top.text("product", "product"), "region": top.text("region", "all regions")}
    for key, wanted in (("product", product), ("region", region)):
        if wanted is not None and wanted != own[key] and not top.has("specifications"):
            raise top.error(
                key,
                f"the file has one set of limits, for {own[key]!r}: no specification set for another {key}",
                found=wanted,
                hint="Write the limits of each product and region under [specifications].",
            )
    product, region = product or own["product"], region or own["region"]
    limits = _limits(top, product, region)
    sampling = top.table("sampling")
    sampling.only(["product_volume_ml", "dose_attribute", "amount_per_dose"])
    volume = sampling.number("product_volume_ml", 0.0, 0.0)
    covariates = _covariates(top.table("covariates"))
    known = [covariate.name for covariate in covariates]
    attributes = tuple(
        _attribute(top.table("attributes").table(name), name, limits.get(name, Limits()), known)
        for name in top.table("attributes").values
    )
    names = [attribute.name for attribute in attributes]
    for name in limits:
        if name not in names:
            raise InputError(
                "limits for an attribute that is not described",
                file=file,
                field=f"specifications.{product}.{region}",
                found=name,
                hint=nearest(name, names),
            )
    dose = sampling.values.get("dose_attribute")
    if dose is not None and dose not in names:
        raise sampling.error("dose_attribute", "no such attribute", found=dose, hint=nearest(str(dose), names))
    if dose is not None and next(a for a in attributes if a.name == dose).scale.name != "log":
        raise sampling.error("dose_attribute", 'a dose is an amount: its attribute needs scale = "log"', found=dose)
    if sampling.has("amount_per_dose") and dose is None:
        raise sampling.error("amount_per_dose", "needs dose_attribute: what a dose is an amount of")
    safety_table = top.table("safety")
    safety = tuple(read_safety_test(safety_table.table(name), name, volume) for name in safety_table.values)
    try:
        specification = ReleaseSpecification(
            product=product,
            region=region,
            attributes=attributes,
            correlation=_correlation(top, names),
            safety=safety,
            covariates=covariates,
            process=_process(top.table("process"), known),
            disposition=_disposition(top.table("disposition")),
            loss=_loss(top.table("loss")),
            target=_target(top.table("guard_band")),
            product_volume_ml=volume,
            dose_attribute=dose,
            lots=top.whole("lots", 100_000, 1000, 5_000_000),
            seed=top.whole("seed", 1, 0, 2**53),
            amount_per_dose=sampling.number("amount_per_dose", None, 1e-12)
            if sampling.has("amount_per_dose")
            else None,
            money=_money(top) if top.has("money") else None,
            data_behind=read_data_behind(top.table("uncertainty")),
            stated=frozenset(
                f"{section}.{key}" for section in ("process", "disposition") for key in top.table(section).values
            ),
        )
    except InputError as error:
        raise error.located(file=file) from None
    if specification.sampled_ml > 0 and volume == 0:
        raise sampling.error("product_volume_ml", "tests take samples, so the product volume is needed")
    return specification


def _money(top: Table) -> str:
    from cartsight.core.units import unit

    text = top.text("money")
    try:
        known = unit(text)
    except InputError as error:
        raise top.error("money", error.problem, found=text, hint=error.hint) from None
    if not known.is_money or known.per is not None:
        raise top.error(
            "money", "a currency and its price year are expected", found=text, allowed="for example usd_2024"
        )
    return text


def _limits(top: Table, product: str, region: str) -> dict[str, Limits]:
    """Return the limits in force: the set of the product and region, else the limits written with each attribute."""
    if not top.has("specifications"):
        return {}
    products = top.table("specifications")
    if product not in products.values:
        raise products.error(product, "no specification set for this product", allowed=", ".join(products.values))
    regions = products.table(product)
    if region not in regions.values:
        raise regions.error(
            region,
            "no specification set for this region",
            allowed=", ".join(regions.values),
            hint=nearest(region, regions.values),
        )
    chosen = regions.table(region)
    return {name: _pair(chosen.table(name)) for name in chosen.values}


def _pair(table: Table) -> Limits:
    table.only(["lower", "upper"])
    if not table.values:
        raise InputError("lower, upper or both are needed", file=table.file, field=table.place)
    lower, upper = table.number("lower", -INFINITE), table.number("upper", INFINITE)
    if not lower < upper:
        raise table.error("lower", "must be below upper", found=(lower, upper))
    return Limits(lower, upper)


ATTRIBUTE_KEYS = [
    "unit",
    "scale",
    "bounds",
    "median",
    "mean",
    "sd",
    "effects",
    "assay",
    "limits",
    "guard_band",
    "post_thaw",
    "tested",
    "never_use",
]


def _attribute(table: Table, name: str, limits: Limits, covariates: list[str]) -> Attribute:
    table.only(ATTRIBUTE_KEYS)
    scale_name = table.text("scale", "identity", SCALE_NAMES)
    low, high = 0.0, 100.0
    if table.has("bounds"):
        bounds = table.values["bounds"]
        if not (isinstance(bounds, list) and len(bounds) == 2 and all(isinstance(b, (int, float)) for b in bounds)):
            raise table.error("bounds", "two numbers are expected", found=bounds)
        low, high = float(bounds[0]), float(bounds[1])
        if not low < high:
            raise table.error("bounds", "must be in order", found=bounds)
    scale = Scale(cast(Literal["identity", "log", "logit"], scale_name), low, high)
    if table.has("median") == table.has("mean"):
        raise table.error("median", "give either median or, on the identity scale, mean")
    if table.has("mean") and scale_name != "identity":
        raise table.error("mean", f"on the {scale_name} scale the centre is a median", hint="Write median = ...")
    key = "median" if table.has("median") else "mean"
    centre = table.number(key)
    if not scale.inside(centre):
        raise table.error(key, f"lies outside the {scale_name} scale", found=centre)
    sds = _sds(table, "sd", LEVELS, single="run")
    if table.has("limits"):
        if not limits.open:
            raise table.error("limits", "limits stand both here and in [specifications]; keep one")
        limits = _pair(table.table("limits"))
    thaw = table.table("post_thaw")
    thaw.only(["shift", "sd"])
    effects = table.numbers("effects")
    _known(table, "effects", effects, covariates)
    return Attribute(
        name=name,
        scale=scale,
        centre=centre,
        unit=table.text("unit", "-"),
        site_sd=sds["site"],
        donor_sd=sds["donor"],
        run_sd=sds["run"],
        effects=effects,
        assay=_assay(table.table("assay"), scale),
        limits=limits,
        guard_band=table.number("guard_band", 0.0, 0.0),
        post_thaw_shift=thaw.number("shift", 0.0),
        post_thaw_sd=thaw.number("sd", 0.0, 0.0),
        tested_after_thaw=table.text("tested", "before_freezing", ["before_freezing", "after_thaw"]) == "after_thaw",
        never_use=table.flag("never_use"),
    )


def _sds(table: Table, key: str, levels: Iterable[str], single: str) -> dict[str, float]:
    """Return standard deviations by level; a plain number is that of the level `single`."""
    names = list(levels)
    found = dict.fromkeys(names, 0.0)
    if key in table.values and not isinstance(table.values[key], Mapping):
        found[single] = table.number(key, None, 0.0)
        return found
    inner = table.table(key)
    inner.only(names)
    for name in inner.values:
        found[name] = inner.number(name, None, 0.0)
    return found


def _known(table: Table, key: str, effects: Mapping[str, float], covariates: list[str]) -> None:
    for name in effects:
        if name not in covariates:
            raise table.error(
                f"{key}.{name}",
                "no such covariate",
                allowed=", ".join(covariates) or "none: add a [covariates] table",
                hint=nearest(name, covariates),
            )


ASSAY_KEYS = [
    "sd",
    "bias",
    "sessions",
    "replicates",
    "result",
    "counted",
    "events",
    "amount",
    "detection_limit",
    "rounding",
    "invalid_probability",
    "invalid_repeats",
    "days",
    "cost",
    "sample_ml",
    "retest",
]


def _assay(table: Table, scale: Scale) -> Assay:
    table.only(ASSAY_KEYS)
    sds = _sds(table, "sd", ("lab", "session", "replicate"), single="replicate")
    counted = None
    if table.has("counted"):
        counted = cast(Literal["binomial", "poisson"], table.text("counted", None, ["binomial", "poisson"]))
        if counted == "binomial" and scale.name != "logit":
            raise table.error("counted", 'gated shares need scale = "logit"', found=counted)
        if counted == "poisson" and scale.name == "logit":
            raise table.error("counted", 'counts need scale = "log" or "identity"', found=counted)
        if counted == "binomial" and not table.has("events"):
            raise table.error("events", "the number of gated events is needed")
    result = table.text("result", "geometric_mean" if scale.name == "log" else "mean", RESULT_RULES)
    retest = table.table("retest")
    retest.only(["results", "rule", "days"])
    return Assay(
        lab_sd=sds["lab"],
        session_sd=sds["session"],
        replicate_sd=sds["replicate"],
        bias=table.number("bias", 0.0),
        sessions=table.whole("sessions", 1, 1, 50),
        replicates=table.whole("replicates", 1, 1, 200),
        result=cast(Any, result),
        counted=counted,
        events=table.whole("events", 0, 1 if counted == "binomial" else 0),
        amount=table.number("amount", 1.0, 1e-12),
        detection_limit=table.number("detection_limit", -INFINITE),
        rounding=table.number("rounding", 0.0, 0.0),
        invalid_probability=table.probability("invalid_probability", 0.0),
        invalid_repeats=table.whole("invalid_repeats", 1, 0, 20),
        days=table.number("days", 0.0, 0.0),
        cost=table.number("cost", 0.0, 0.0),
        sample_ml=table.number("sample_ml", 0.0, 0.0),
        retest=Retest(
            retest.whole("results", 0, 0, 50),
            cast(Any, retest.text("rule", "all", RETEST_RULES)),
            retest.number("days", 0.0, 0.0),
        ),
    )


def _covariates(table: Table) -> tuple[Covariate, ...]:
    found = []
    for name in table.values:
        inner = table.table(name)
        inner.only(["probability", "mean", "sd"])
        if inner.has("probability"):
            found.append(Covariate(name, probability=inner.probability("probability")))
        else:
            found.append(Covariate(name, mean=inner.number("mean", 0.0), sd=inner.number("sd", None, 0.0)))
    return tuple(found)


def _correlation(top: Table, names: list[str]) -> dict[str, Float]:
    """Return a matrix per level. Entries: ``{ between = ["a", "b"], value = 0.5, levels = ["donor"] }`` (default all)."""
    entries = top.values.get("correlation", [])
    if isinstance(entries, Mapping):
        common = Table(entries, top.file, "correlation")
        common.only(["all"])
        value = common.number("all", None, -1.0, 1.0)
        matrix = np.full((len(names), len(names)), value)
        np.fill_diagonal(matrix, 1.0)
        matrices = dict.fromkeys(LEVELS, matrix)
    elif isinstance(entries, list):
        matrices = {}
        for number, entry in enumerate(entries, start=1):
            inner = Table(entry, top.file, f"correlation[{number}]")
            inner.only(["between", "value", "levels"])
            between = inner.values.get("between")
            if not (isinstance(between, list) and len(between) == 2 and between[0] != between[1]):
                raise inner.error("between", "two different attributes are expected", found=between)
            for name in between:
                if name not in names:
                    raise inner.error("between", "no such attribute", found=name, hint=nearest(str(name), names))
            i, j = names.index(between[0]), names.index(between[1])
            levels = inner.values.get("levels", list(LEVELS))
            if not isinstance(levels, list) or any(level not in LEVELS for level in levels):
                raise inner.error("levels", "unknown level", found=levels, allowed=", ".join(LEVELS))
            for level in levels:
                matrix = matrices.setdefault(level, np.eye(len(names)))
                matrix[i, j] = matrix[j, i] = inner.number("value", None, -1.0, 1.0)
    else:
        raise top.error("correlation", "a list of pairs or { all = value } is expected", found=entries)
    for level, matrix in matrices.items():
        try:
            cholesky(matrix, level)
        except InputError as error:
            raise error.located(file=top.file) from None
    return matrices


def _process(table: Table, covariates: list[str]) -> Process:
    table.only(
        [
            "days",
            "cost",
            "termination_probability",
            "termination_donor_sd",
            "termination_effects",
            "attempts",
            "remake_wait_days",
        ]
    )
    effects = table.numbers("termination_effects")
    _known(table, "termination_effects", effects, covariates)
    return Process(
        days=table.number("days", 0.0, 0.0),
        cost=table.number("cost", 0.0, 0.0),
        termination_probability=table.probability("termination_probability", 0.0),
        termination_donor_sd=table.number("termination_donor_sd", 0.0, 0.0),
        termination_effects=effects,
        attempts=table.whole("attempts", 1, 1, 10),
        remake_wait_days=table.number("remake_wait_days", 0.0, 0.0),
    )


def _disposition(table: Table) -> Disposition:
    table.only(["use_out_of_specification", "approval_days", "review_days", "as_of_day"])
    return Disposition(
        table.probability("use_out_of_specification", 0.0),
        table.number("approval_days", 0.0, 0.0),
        table.number("review_days", 0.0, 0.0),
        table.number("as_of_day", INFINITE, 0.0),
    )


def _loss(table: Table) -> Loss:
    table.only(["released_bad", "rejected_good", "rejected_bad", "waiting_hazard_per_day", "unit"])
    return Loss(
        table.number("released_bad", 0.0, 0.0),
        table.number("rejected_good", 0.0, 0.0),
        table.number("rejected_bad", 0.0, 0.0),
        table.number("waiting_hazard_per_day", 0.0, 0.0),
        table.text("unit", "units of loss"),
    )


def _target(table: Table) -> Target | None:
    table.only(["consumers_risk", "kind"])
    if not table.values:
        return None
    kind = table.text("kind", "joint", ["joint", "conditional"])
    return Target(table.number("consumers_risk", None, 1e-9, 1.0), cast(Literal["joint", "conditional"], kind))
