"""A Gibbs sampler for variance components, seeded, for the posterior where likelihood sits on its boundary.

Normal effects; half-Cauchy priors on standard deviations, as two inverse gammas (Makalic & Schmidt 2016,
doi:10.1109/LSP.2015.2503725; Gelman 2006, doi:10.1214/06-BA117A for the prior); a flat prior on the mean.
Each sweep interweaves a slice step for every standard deviation with its effects' pattern held fixed (Yu &
Meng 2011, doi:10.1198/jcgs.2011.203main), and shifts of means between levels, so that small and large
components mix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.quality.random_effects import RandomEffectsStudy

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]

CHAINS = 2


@dataclass(frozen=True)
class PosteriorSummary:
    """Posterior of one variance component."""

    median: float
    mean: float
    lower: float
    upper: float
    sd_median: float
    sd_lower: float
    sd_upper: float
    r_hat: float
    effective_size: float


@dataclass(frozen=True)
class Posterior:
    """Draws of the variances, shape (chains, draws, terms + 1), residual last, and of the mean."""

    names: tuple[str, ...]
    variances: Float
    mean: Float

    def summary(self, index: int, confidence: float = 0.95) -> PosteriorSummary:
        """Return quantiles of one component with its convergence numbers."""
        draws = self.variances[:, :, index]
        tail = (1 - confidence) / 2
        low, middle, high = np.quantile(draws, [tail, 0.5, 1 - tail])
        r_hat, size = convergence(np.log(draws))
        return PosteriorSummary(
            float(middle),
            float(draws.mean()),
            float(low),
            float(high),
            math.sqrt(float(middle)),
            math.sqrt(float(low)),
            math.sqrt(float(high)),
            r_hat,
            size,
        )


def convergence(draws: Float) -> tuple[float, float]:
    """Return split-chain R-hat and the effective sample size of draws of shape (chains, n)."""
    half = draws.shape[1] // 2
    chains = np.concatenate([draws[:, :half], draws[:, half : 2 * half]])
    m, n = chains.shape
    within = float(chains.var(axis=1, ddof=1).mean())
    between = n * float(chains.mean(axis=1).var(ddof=1))
    pooled = (n - 1) / n * within + between / n
    if within == 0:
        return math.nan, math.nan
    centred = chains - chains.mean(axis=1, keepdims=True)
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centred, size, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :n].mean(axis=0) / n
    rho = 1 - (within - covariance * n / (n - 1)) / pooled
    total = 0.0
    # Geyer's initial positive sequence
    for lag in range(1, n - 1, 2):
        pair = float(rho[lag] + rho[lag + 1])
        if pair < 0:
            break
        total += pair
    return math.sqrt(pooled / within), float(m * n / (1 + 2 * total))


def sample_posterior(
    study: RandomEffectsStudy, *, seed: int, draws: int = 4000, prior_scale: float | None = None
) -> Posterior:
    """Draw from the posterior of the variance components.

    Parameters
    ----------
    study : RandomEffectsStudy
    seed : int
        Seed of the generator.
    draws : int
        Kept draws in all, after a warm-up of a quarter, over two chains.
    prior_scale : float, optional
        Scale of the half-Cauchy priors; the standard deviation of the responses otherwise.

    Raises
    ------
    InputError
        Fewer than 200 draws.
    """
    if draws < 200:
        raise InputError("too few draws for a posterior", found=draws, allowed="200 or more")
    scale2 = float(prior_scale if prior_scale is not None else study.y.std(ddof=1)) ** 2
    per_chain = draws // CHAINS
    warm_up = max(per_chain // 2, 200)
    k = len(study.factors)
    variances = np.empty((CHAINS, per_chain, k + 1))
    means = np.empty((CHAINS, per_chain))
    generators = [np.random.Generator(np.random.Philox(key=[seed, chain])) for chain in range(CHAINS)]
    for chain, rng in enumerate(generators):
        _run_chain(study, rng, warm_up, scale2, variances[chain], means[chain])
    return Posterior((*study.names, "residual"), variances, means)


def _run_chain(
    study: RandomEffectsStudy, rng: np.random.Generator, warm_up: int, scale2: float, out: Float, means: Float
) -> None:
    y = study.y
    n = len(y)
    codes = [factor.codes for factor in study.factors]
    levels = [factor.levels for factor in study.factors]
    counts = [np.bincount(code) for code in codes]
    k = len(codes)
    variance = np.full(k + 1, float(y.var(ddof=1)) / (k + 1)) * rng.uniform(0.3, 2.0, k + 1)
    effects = [np.zeros(size) for size in levels]
    mu = float(y.mean())
    residual = y - mu
    parents = _nested_pairs(codes, levels)
    for step in range(warm_up + len(out)):
        mu_shift = float(residual.mean()) + rng.standard_normal() * math.sqrt(variance[k] / n)
        mu += mu_shift
        residual -= mu_shift
        for j in range(k):
            residual += effects[j][codes[j]]
            precision = counts[j] / variance[k] + 1 / variance[j]
            centre = np.bincount(codes[j], residual, levels[j]) / variance[k] / precision
            effects[j] = centre + rng.standard_normal(levels[j]) / np.sqrt(precision)
            sd = math.sqrt(variance[j])
            pattern = effects[j] / sd
            spread = pattern[codes[j]]
            power = float(spread @ spread) / variance[k]
            pull = float(spread @ residual) / variance[k]
            sd = _slice_sd(rng, sd, power, pull, scale2)
            effects[j] = pattern * sd
            variance[j] = sd * sd
            residual -= effects[j][codes[j]]
            variance[j] = _half_cauchy_step(rng, float(effects[j] @ effects[j]), levels[j], variance[j], scale2)
        mu = _shift_means(rng, effects, variance, mu, parents)
        variance[k] = _half_cauchy_step(rng, float(residual @ residual), n, variance[k], scale2)
        if step >= warm_up:
            out[step - warm_up] = variance
            means[step - warm_up] = mu


def _nested_pairs(codes: list[Int], levels: list[int]) -> list[tuple[int, int, Int]]:
    """Return (parent, child, parent level of each child level) for every factor nested in another."""
    pairs = []
    for parent in range(len(codes)):
        for child in range(len(codes)):
            owner = np.zeros(levels[child], dtype=np.intp)
            owner[codes[child]] = codes[parent]
            if parent != child and levels[parent] < levels[child] and (owner[codes[child]] == codes[parent]).all():
                pairs.append((parent, child, owner))
    return pairs


def _shift_means(
    rng: np.random.Generator,
    effects: list[Float],
    variance: Float,
    mu: float,
    parents: list[tuple[int, int, Int]],
) -> float:
    """Move means between levels along directions that leave every fitted value unchanged; return the new
    mean.

    Each move draws its size from its exact conditional distribution, which is normal, so it is a Gibbs step.
    """
    for parent, child, owner in parents:
        size = len(effects[parent])
        counts = np.bincount(owner, minlength=size)
        precision = 1 / variance[parent] + counts / variance[child]
        pull = np.bincount(owner, effects[child], size) / variance[child] - effects[parent] / variance[parent]
        shift = pull / precision + rng.standard_normal(size) / np.sqrt(precision)
        effects[parent] = effects[parent] + shift
        effects[child] = effects[child] - shift[owner]
    for j, effect in enumerate(effects):
        shift = float(effect.mean()) + rng.standard_normal() * math.sqrt(variance[j] / len(effect))
        effects[j] = effect - shift
        mu += shift
    return mu


def _slice_sd(rng: np.random.Generator, sd: float, power: float, pull: float, scale2: float) -> float:
    """Redraw a standard deviation with the pattern of its effects held fixed (one slice step, Neal 2003).

    The log density is pull * s - power * s^2 / 2 - log(1 + s^2 / scale2) for s > 0.
    """

    def log_density(s: float) -> float:
        return pull * s - 0.5 * power * s * s - math.log1p(s * s / scale2)

    level = log_density(sd) + math.log(1.0 - rng.uniform())
    width = math.sqrt(scale2) / 2
    low = max(sd - width * rng.uniform(), 0.0)
    high = low + width
    while low > 0 and log_density(low) > level:
        low = max(low - width, 0.0)
    while log_density(high) > level:
        high += width
    while True:
        proposal = low + (high - low) * rng.uniform()
        if proposal > 0 and log_density(proposal) > level:
            return proposal
        if proposal < sd:
            low = proposal
        else:
            high = proposal


def _half_cauchy_step(
    rng: np.random.Generator, sum_of_squares: float, count: int, variance: float, scale2: float
) -> float:
    """Redraw a variance given its effects, through the auxiliary inverse gamma of the half-Cauchy prior."""
    auxiliary = (1 / variance + 1 / scale2) / rng.gamma(1.0)
    return float((sum_of_squares / 2 + 1 / auxiliary) / rng.gamma((count + 1) / 2))
