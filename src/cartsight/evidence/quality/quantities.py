"""Results of the quality room as quantities: estimated, with unit, uncertainty and the method in their statement."""

from __future__ import annotations

import math

import numpy as np

from cartsight.core.distributions import Distribution, LogNormal, Normal
from cartsight.core.errors import InputError, nearest
from cartsight.core.fitting import from_events, from_mean_sd
from cartsight.core.normal import normal_quantile
from cartsight.core.quantity import Provenance, Quantity, Uncertainty
from cartsight.core.streams import Stream
from cartsight.evidence.quality.capability import Capability
from cartsight.evidence.quality.potency.combination import Combination
from cartsight.evidence.quality.potency.results import PotencyResult
from cartsight.evidence.quality.release.risk import ReleaseRisk
from cartsight.evidence.quality.variance_components import VarianceComponents

POSTERIOR_DRAWS = 4096


def potency_quantity(result: PotencyResult, preparation: str | None = None, *, confidence: float = 0.95) -> Quantity:
    """Return the relative potency of a test preparation as a log-normal quantity, in ``ratio``.

    Parameters
    ----------
    result : PotencyResult
    preparation : str, optional
        Needed where the assay has several.
    confidence : float
        Level at which the assay's limits were computed.

    Raises
    ------
    InputError
        The assay is not valid, has no such preparation, or its limits are unbounded: then it says nothing that a
        simulation could use.
    """
    names = [potency.preparation for potency in result.potencies]
    if preparation is None and len(names) != 1:
        raise InputError("the assay has several preparations; name one", allowed=", ".join(names) or "none")
    chosen = names[0] if preparation is None else preparation
    if chosen not in names:
        raise InputError("no such preparation", found=chosen, allowed=", ".join(names), hint=nearest(chosen, names))
    potency = result.potencies[names.index(chosen)]
    if not result.valid:
        raise InputError("the assay is not valid, so its potency is no estimate", hint="; ".join(result.warnings[:2]))
    if not (math.isfinite(potency.ratio_lower) and math.isfinite(potency.ratio_upper) and potency.ratio_lower > 0):
        raise InputError("the limits of the potency are unbounded", found=(potency.ratio_lower, potency.ratio_upper))
    z = float(normal_quantile(0.5 + 0.5 * confidence))
    sigma = (math.log(potency.ratio_upper) - math.log(potency.ratio_lower)) / (2.0 * z)
    text = f"{result.model} assay of {chosen} against {result.standard}, {result.n} responses, design {result.design}"
    basis = f"{confidence:.0%} limits {potency.ratio_lower:.4g} to {potency.ratio_upper:.4g}"
    return _quantity(potency.ratio, "ratio", text, LogNormal(math.log(potency.ratio), sigma), basis)


def combined_quantity(found: Combination, *, confidence: float = 0.95) -> Quantity:
    """Return the recommended combined potency of several assays, in ``ratio`` (of the assays' own unit)."""
    best = {"weighted": found.weighted, "unweighted": found.unweighted, "semi_weighted": found.semi_weighted}[
        found.recommended.replace("-", "_").replace(" ", "_")
    ]
    z = float(normal_quantile(0.5 + 0.5 * confidence))
    text = f"{found.recommended} combination of {found.n} assays ({found.edition_name})"
    basis = f"{confidence:.0%} limits {best.lower:.4g} to {best.upper:.4g}"
    if found.scale == "log":
        sigma = (math.log(best.upper) - math.log(best.lower)) / (2.0 * z)
        return _quantity(best.estimate, "ratio", text, LogNormal(math.log(best.estimate), sigma), basis)
    return _quantity(best.estimate, "ratio", text, Normal(best.estimate, (best.upper - best.lower) / (2.0 * z)), basis)


def capability_quantity(found: Capability, index: str = "cpk") -> Quantity:
    """Return a capability index (``cp``, ``cpk``, ``cpm``) with the spread of its interval."""
    known = [name for name in ("cp", "cpk", "cpm") if math.isfinite(getattr(found, name))]
    if index not in known:
        raise InputError("no such index of this process", found=index, allowed=", ".join(known))
    value, low, high = (float(getattr(found, name)) for name in (index, f"{index}_lower", f"{index}_upper"))
    z = float(normal_quantile(0.5 + 0.5 * found.confidence))
    sd = (high - low) / (2.0 * z) if math.isfinite(high) else (value - low) / z
    text = f"capability index {index} of {found.n} results, sd {found.sd_source}"
    return _quantity(
        value, "ratio", text, Normal(value, sd), f"{found.confidence:.0%} interval {low:.3g} to {high:.3g}"
    )


def out_of_specification_quantity(
    found: Capability | ReleaseRisk, *, lsl: float | None = None, usl: float | None = None, seed: int = 1
) -> Quantity:
    """Return the probability that a lot or result is out of specification.

    Parameters
    ----------
    found : Capability or ReleaseRisk
        A process seen in `n` results, or a release specification evaluated on generated lots.
    lsl, usl : float, optional
        The limits, for a process.
    seed : int
        Of the draws of mean and sd.

    Notes
    -----
    For a process mean and sd are drawn from their posterior under the flat prior (mean given sd normal, variance scaled
    inverse chi-squared with n - 1 degrees of freedom) and a beta with the moments of the drawn shares is returned. The
    share of a release specification carries its Monte Carlo error only.
    """
    if not isinstance(found, Capability):
        n = found.lots
        p = found.rejected.probability
        text = f"release specification: confirmed failures of {n} generated lots, seed {found.seed} ({found.method})"
        if found.method == "quadrature":
            return Quantity(p, "probability", Provenance("estimated", text))
        return _quantity(
            p, "probability", text, from_events(round(p * n), n), "Monte Carlo error of the generated lots"
        )
    if lsl is None and usl is None:
        raise InputError("a limit is needed: lsl, usl or both")
    from scipy import stats

    stream = Stream(seed, "out of specification draw", np.arange(POSTERIOR_DRAWS, dtype=np.uint64))
    df = found.n - 1
    sd = found.overall_sd * np.sqrt(df / stats.chi2.ppf(stream("sd"), df))
    mean = found.mean + sd / math.sqrt(found.n) * normal_quantile(stream("mean"))
    share = np.zeros(POSTERIOR_DRAWS)
    value = 0.0
    if lsl is not None:
        share += stats.norm.cdf((lsl - mean) / sd)
        value += float(stats.norm.cdf((lsl - found.mean) / found.overall_sd))
    if usl is not None:
        share += stats.norm.sf((usl - mean) / sd)
        value += float(stats.norm.sf((usl - found.mean) / found.overall_sd))
    text = f"share of a normal process beyond its limits, {found.n} results"
    law = from_mean_sd("beta", float(share.mean()), float(share.std()))
    return _quantity(value, "probability", text, law, "mean and sd drawn from their posterior")


def component_quantity(found: VarianceComponents, factor: str) -> Quantity:
    """Return the standard deviation of a factor of results on the log scale, as a gamma law in ``log_scale``.

    A component at its boundary keeps its interval, and so a value above zero: the middle of the posterior.

    Raises
    ------
    InputError
        No such factor, or a component at zero without a posterior.
    """
    if factor not in found.components:
        raise InputError("no such factor", found=factor, allowed=", ".join(found.components))
    component = found.components[factor]
    low, high = math.sqrt(max(component.lower, 0.0)), math.sqrt(max(component.upper, 0.0))
    value = component.sd
    if component.at_boundary or value <= 0.0:
        value = 0.5 * (low + high)
    if not (math.isfinite(high) and high > low and value > 0.0):
        raise InputError("the interval of the component is not bounded", found=(component.lower, component.upper))
    law = from_mean_sd("gamma", value, (high - low) / (2.0 * 1.959963984540054))
    text = f"sd of {factor}, REML of {found.n} results, {component.levels} levels; {component.interval} interval"
    return _quantity(value, "log_scale", text, law, f"{low:.3g} to {high:.3g}")


def _quantity(value: float, unit: str, text: str, law: Distribution, basis: str) -> Quantity:
    return Quantity(value, unit, Provenance("estimated", text), Uncertainty(law, basis))
