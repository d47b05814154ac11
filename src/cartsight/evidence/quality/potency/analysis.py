"""One verb for every model: read the file, analyse it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.potency.assay import read_assay
from cartsight.evidence.quality.potency.curves import curve_potency
from cartsight.evidence.quality.potency.logistic import CURVES
from cartsight.evidence.quality.potency.parallel_line import parallel_line
from cartsight.evidence.quality.potency.quantal import LINKS, quantal_potency
from cartsight.evidence.quality.potency.results import PotencyResult, Rules
from cartsight.evidence.quality.potency.slope_ratio import slope_ratio

MODELS = ("parallel-line", "slope-ratio", *CURVES, *LINKS)


def analyse_potency(
    path: Path | str,
    model: str,
    *,
    design: str = "crd",
    standard: str | None = None,
    transform: str = "none",
    assumed_potency: float | Mapping[str, float] = 1.0,
    rules: Rules | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    blank: str = "keep",
    fixed: Mapping[str, float] | None = None,
    weight_power: float = 0.0,
    effects: Sequence[float] = (10.0, 50.0, 90.0),
    residual: str = "curves",
    natural_response: str = "auto",
    heterogeneity: bool = False,
) -> PotencyResult:
    """Read an assay from `path` and analyse it by `model`; see the function of each model for the arguments.

    Raises
    ------
    InputError
        Unknown model, an option that the model has no use for, or a file that cannot serve it.
    """
    if model not in MODELS:
        raise InputError("no such model", found=model, allowed=", ".join(MODELS), hint=nearest(model, MODELS))
    quantal = model in LINKS
    _refuse_unused(
        model,
        {
            "--blank": (blank != "keep", ("slope-ratio",)),
            "--fix": (bool(fixed), tuple(CURVES)),
            "--weight-power": (weight_power != 0.0, tuple(CURVES)),
            "--residual": (residual != "curves", tuple(CURVES)),
            "--natural-response": (natural_response != "auto", tuple(LINKS)),
            "--heterogeneity": (heterogeneity, tuple(LINKS)),
        },
    )
    if quantal and transform != "none":
        raise InputError("a quantal assay takes no transform of its response", found=transform)
    if isinstance(assumed_potency, Mapping):
        bad = [value for value in assumed_potency.values() if not value > 0]
    else:
        bad = [] if assumed_potency > 0 else [assumed_potency]
    if bad:
        raise InputError("an assumed potency must be above zero", found=bad[0])
    assay = read_assay(path, design=design, standard=standard, quantal=quantal)
    if isinstance(assumed_potency, Mapping):
        for name in assumed_potency:
            if name not in assay.preparations:
                raise InputError(
                    "an assumed potency names a preparation that is not in the file",
                    found=name,
                    allowed=", ".join(assay.preparations),
                    hint=nearest(name, assay.preparations),
                )
            if name == assay.standard:
                raise InputError(
                    "the standard has no assumed potency: its doses are in units already",
                    found=name,
                    hint="Write the standard's doses in units, or choose another --standard.",
                )
    if model == "parallel-line":
        return parallel_line(assay, transform=transform, assumed_potency=assumed_potency, rules=rules, limits=limits)
    if model == "slope-ratio":
        return slope_ratio(
            assay,
            transform=transform,
            assumed_potency=assumed_potency,
            rules=rules,
            limits=limits,
            blank=blank,
        )
    if quantal:
        return quantal_potency(
            assay,
            model,
            assumed_potency=assumed_potency,
            rules=rules,
            limits=limits,
            natural_response=natural_response,
            heterogeneity=heterogeneity,
            effects=effects,
        )
    return curve_potency(
        assay,
        model,
        transform=transform,
        assumed_potency=assumed_potency,
        rules=rules,
        limits=limits,
        fixed=fixed,
        weight_power=weight_power,
        effects=effects,
        residual=residual,
    )


def _refuse_unused(model: str, options: Mapping[str, tuple[bool, tuple[str, ...]]]) -> None:
    """Raise InputError for an option that was given and that the model has no use for."""
    for option, (given, models) in options.items():
        if given and model not in models:
            raise InputError(f"the {model} model has no use for it", field=option, allowed=f"with {', '.join(models)}")
