"""Variance components, three ways side by side: mean squares, restricted likelihood, posterior.

A component at the boundary of the likelihood is reported with its interval, never as a bare zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cartsight.evidence.quality.expected_mean_squares import (
    MeanSquare,
    MomentEstimate,
    combine_mean_squares,
    component_weights,
    random_anova,
)
from cartsight.evidence.quality.gibbs import PosteriorSummary, sample_posterior
from cartsight.evidence.quality.random_effects import RandomEffectsStudy
from cartsight.evidence.quality.reml import fit_likelihood, profile_interval


@dataclass(frozen=True)
class Component:
    """One variance component.

    `estimate` is the restricted-likelihood one; `lower` and `upper` come from `interval`: modified large
    sample when the
    layout is balanced and the estimate is off the boundary, profile likelihood otherwise. `moment` is the
    mean-square
    estimate, which may be negative.
    """

    factor: str
    levels: int
    estimate: float
    sd: float
    share: float
    lower: float
    upper: float
    interval: str
    at_boundary: bool
    maximum_likelihood: float
    moment: MomentEstimate
    posterior: PosteriorSummary | None


@dataclass(frozen=True)
class VarianceComponents:
    """All components by factor (residual last), and the mean with a Satterthwaite-free standard error."""

    n: int
    structure: str
    balanced: bool
    mean: float
    mean_standard_error: float
    components: dict[str, Component]
    total: MomentEstimate
    anova: tuple[MeanSquare, ...]
    reml_deviance: float
    warnings: tuple[str, ...]


def estimate_variance_components(
    study: RandomEffectsStudy, *, confidence: float = 0.95, seed: int = 1, draws: int = 4000
) -> VarianceComponents:
    """Estimate the variance components of a study.

    Parameters
    ----------
    study : RandomEffectsStudy
    confidence : float
        Level of all intervals.
    seed, draws : int
        Of the posterior sampler; no posterior with `draws` 0.

    Raises
    ------
    InputError
        No replication, confounded factors, or no variation.
    """
    anova = random_anova(study)
    weights = component_weights(anova)
    moments = np.array([combine_mean_squares(anova, row, confidence).estimate for row in weights])
    reml = fit_likelihood(study, reml=True, start=moments)
    ml = fit_likelihood(study, reml=False, start=moments)
    posterior = sample_posterior(study, seed=seed, draws=draws) if draws else None
    names = [*study.names, "residual"]
    levels = [*(factor.levels for factor in study.factors), len(study.y)]
    total_variance = float(reml.components.sum())
    balanced = study.balanced
    components: dict[str, Component] = {}
    warnings = list(study.remarks)
    for i, name in enumerate(names):
        moment = combine_mean_squares(anova, weights[i], confidence)
        estimate = float(reml.components[i])
        boundary = estimate <= 0.0
        if balanced and not boundary:
            lower, upper, kind = moment.lower, moment.upper, "modified large sample"
        else:
            lower, upper = profile_interval(study, i, reml, confidence=confidence)
            kind = "profile likelihood"
        components[name] = Component(
            name,
            levels[i],
            estimate,
            math.sqrt(estimate),
            estimate / total_variance,
            lower,
            upper,
            kind,
            boundary,
            float(ml.components[i]),
            moment,
            posterior.summary(i, confidence) if posterior else None,
        )
        if boundary:
            warnings.append(
                f"{name}: the likelihood is highest at zero, but variances up to {upper:.4g} are "
                f"compatible with the data"
            )
        if i < len(names) - 1 and levels[i] < 5:
            warnings.append(f"{name}: {levels[i]} levels hardly identify a variance; read the interval")
    if not balanced:
        warnings.append(
            "the layout is unbalanced: mean-square intervals are approximate, likelihood intervals are shown"
        )
    return VarianceComponents(
        len(study.y),
        study.structure,
        balanced,
        reml.mean,
        reml.mean_standard_error,
        components,
        combine_mean_squares(anova, np.asarray(weights.sum(axis=0)), confidence),
        anova,
        reml.deviance,
        tuple(warnings),
    )
