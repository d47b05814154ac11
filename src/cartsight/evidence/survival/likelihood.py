"""The log likelihood of censored, truncated data under any model, and its analytic score.

With H the cumulative and h the hazard of all causes, a subject seen from `entry` on contributes

    event at t            log h(t) - H(t) + H(entry)
    censored at t               - H(t) + H(entry)
    event in (t, u]       log[exp(-H(t)) - exp(-H(u))] + H(entry)

With background mortality h = SMR h_pop + h_e and H = SMR H_pop + H_e, where the model is for the excess
hazard h_e. With a cured fraction pi, expit of a linear predictor, and f_u, S_u = exp(-H_u) of the uncured:

    mixture       S_e = pi + (1 - pi) S_u
    non-mixture   S_e = pi^(1 - S_u)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from cartsight.evidence.survival.background import BackgroundRates
from cartsight.evidence.survival.families import SMALLEST_TIME, Family, Terms
from cartsight.evidence.survival.models import Cure
from cartsight.evidence.survival.observations import Bool, Float, SurvivalData

Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Likelihood:
    """Log likelihood of `data` under a family, a way of curing, covariates and background mortality.

    The coefficient vector is ordered: cure intercept and cure covariates (if the model has a cure), then
    the family's parameters, then the covariates on its location parameter.

    Parameters
    ----------
    covariates : array, shape (n, q)
        Added to the family's location parameter: log rate (exponential, Gompertz), log cumulative hazard
        (Royston-Parmar), log time (Weibull, log-logistic, log-normal, generalised gamma).
    cure_covariates : array, shape (n, r)
        Added to the logit of the cure fraction.
    background : BackgroundRates or None
        Checked against the data.
    """

    data: SurvivalData
    family: Family
    cure: Cure
    covariates: Float
    cure_covariates: Float
    background: BackgroundRates | None

    @property
    def cure_size(self) -> int:
        """Number of coefficients in the cure part."""
        if self.cure == "none":
            return 0
        return 1 + int(self.cure_covariates.shape[1])

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return self.cure_size + len(self.family.parameters) + int(self.covariates.shape[1])

    def excess_terms(self, t: Float, beta: Float, rows: Bool | Index | slice) -> Terms:
        """Return log h_e, H_e and their derivatives in all coefficients at positive times of `rows`."""
        k = len(self.family.parameters)
        core = beta[self.cure_size : self.cure_size + k]
        x = self.covariates[rows]
        theta = [np.asarray(value) for value in core]
        place = self.family.location
        if x.shape[1]:
            theta[place] = theta[place] + x @ beta[self.cure_size + k :]
        base = self.family.terms(t, theta)
        blocks_h, blocks_c = [base.d_log_hazard], [base.d_cumulative_hazard]
        if x.shape[1]:
            blocks_h.append(x.T * base.d_log_hazard[place])
            blocks_c.append(x.T * base.d_cumulative_hazard[place])
        d_log_h, d_c = (np.concatenate(b) if len(b) > 1 else b[0] for b in (blocks_h, blocks_c))
        if self.cure == "none":
            return Terms(base.log_hazard, base.cumulative_hazard, d_log_h, d_c)
        z = self.cure_covariates[rows]
        eta = beta[0] + z @ beta[1 : self.cure_size] if z.shape[1] else np.full(t.shape, beta[0])
        uncured = Terms(base.log_hazard, base.cumulative_hazard, d_log_h, d_c)
        cured = mixture_terms(uncured, eta) if self.cure == "mixture" else non_mixture_terms(uncured, eta)
        if not z.shape[1]:
            return cured
        return Terms(
            cured.log_hazard,
            cured.cumulative_hazard,
            np.concatenate([cured.d_log_hazard[:1], z.T * cured.d_log_hazard[0], cured.d_log_hazard[1:]]),
            np.concatenate(
                [
                    cured.d_cumulative_hazard[:1],
                    z.T * cured.d_cumulative_hazard[0],
                    cured.d_cumulative_hazard[1:],
                ]
            ),
        )

    def value_and_scores(self, beta: Float) -> tuple[float, Float]:
        """Return the log likelihood and each subject's score, shape (n, p)."""
        data, background = self.data, self.background
        smr = background.standardised_mortality_ratio if background is not None else 0.0
        here = self.excess_terms(np.maximum(data.time, SMALLEST_TIME), beta, slice(None))
        cumulative = np.where(data.time > 0, here.cumulative_hazard, 0.0)
        slope = np.where(data.time > 0, here.d_cumulative_hazard, 0.0)
        if background is not None:
            cumulative = cumulative + smr * background.cumulative
        value, score = -cumulative, -slope
        exact = data.exact_event
        log_h, d_log_h = here.log_hazard, here.d_log_hazard
        if background is not None:
            with np.errstate(divide="ignore"):
                log_b = np.log(smr * background.hazard)
            d_log_h = d_log_h * expit(log_h - log_b)
            log_h = np.logaddexp(log_h, log_b)
        value = value + np.where(exact, log_h, 0.0)
        score = score + np.where(exact, d_log_h, 0.0)
        inside = data.interval_censored
        if inside.any():
            end = self.excess_terms(data.upper[inside], beta, inside)
            end_cumulative = end.cumulative_hazard
            if background is not None:
                end_cumulative = end_cumulative + smr * background.cumulative_upper[inside]
            gap = end_cumulative - cumulative[inside]
            log_gap, d_log_gap = self._log_interval(
                beta, inside, gap, end.d_cumulative_hazard - slope[:, inside], end_cumulative
            )
            value[inside] += log_gap
            score[:, inside] += d_log_gap
        late = data.entry > 0
        if late.any():
            start = self.excess_terms(data.entry[late], beta, late)
            value[late] += start.cumulative_hazard
            score[:, late] += start.d_cumulative_hazard
            if background is not None:
                value[late] += smr * background.cumulative_entry[late]
        return float(data.weight @ value), (score * data.weight).T

    def _log_interval(self, beta: Float, inside: Bool, gap: Float, d_gap: Float, end: Float) -> tuple[Float, Float]:
        """Return log(1 - exp(-gap)) of the intervals and its derivatives."""
        # Where the cumulative hazard has levelled off, its difference is rounding: there the hazard at the
        # middle of the interval times its width stands for it.
        lost = gap <= 1e-9 * end
        safe = np.where(lost, 1.0, gap)
        value, slope = np.log(-np.expm1(-safe)), d_gap / np.expm1(np.minimum(safe, 700.0))
        if lost.any():
            rows = np.flatnonzero(inside)[lost]
            start, stop = self.data.time[rows], self.data.upper[rows]
            middle = self.excess_terms(0.5 * (start + stop), beta, rows)
            log_h, d_log_h = middle.log_hazard, middle.d_log_hazard
            if self.background is not None:
                smr = self.background.standardised_mortality_ratio
                with np.errstate(divide="ignore"):
                    log_b = np.log(smr * self.background.hazard[rows])
                log_h, d_log_h = np.logaddexp(log_h, log_b), d_log_h * expit(log_h - log_b)
            value[lost] = log_h + np.log(stop - start)
            slope[:, lost] = d_log_h
        return value, slope

    def value_and_gradient(self, beta: Float) -> tuple[float, Float]:
        """Return the log likelihood and its gradient; -inf where it cannot be computed."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            value, scores = self.value_and_scores(beta)
        gradient = scores.sum(axis=0)
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            return -np.inf, np.zeros_like(beta)
        return value, gradient

    def observed_information(self, beta: Float, steps: Float) -> Float:
        """Return minus the Hessian: Richardson-extrapolated central differences of the analytic score."""
        p = beta.size
        hessian = np.empty((p, p))
        for j in range(p):
            e = np.zeros(p)
            e[j] = steps[j]
            narrow = (self.value_and_gradient(beta + e)[1] - self.value_and_gradient(beta - e)[1]) / (2 * steps[j])
            wide = (self.value_and_gradient(beta + 2 * e)[1] - self.value_and_gradient(beta - 2 * e)[1]) / (
                4 * steps[j]
            )
            hessian[j] = (4 * narrow - wide) / 3
        return np.asarray(-0.5 * (hessian + hessian.T))


def mixture_terms(uncured: Terms, eta: Float) -> Terms:
    """Return the terms of S_e = pi + (1 - pi) S_u with pi = expit(eta); eta's derivative comes first."""
    pi, not_pi = expit(eta), expit(-eta)
    survival_u = np.exp(-uncured.cumulative_hazard)
    survival = pi + not_pi * survival_u
    share = not_pi * survival_u / survival
    d_eta = -pi * not_pi * -np.expm1(-uncured.cumulative_hazard) / survival
    d_c = np.concatenate([d_eta[None, :], share * uncured.d_cumulative_hazard])
    # log h_e = log(1 - pi) + log h_u - H_u + H_e, and d log(1 - pi) / d eta = -pi.
    d_log_h = d_c + np.concatenate([-pi[None, :], uncured.d_log_hazard - uncured.d_cumulative_hazard])
    cumulative = -np.log(survival)
    log_h = -np.logaddexp(0.0, eta) + uncured.log_hazard - uncured.cumulative_hazard + cumulative
    return Terms(log_h, cumulative, d_log_h, d_c)


def non_mixture_terms(kernel: Terms, eta: Float) -> Terms:
    """Return the terms of S_e = pi^F with pi = expit(eta); eta's derivative comes first."""
    bound = np.logaddexp(0.0, -eta)
    not_pi = expit(-eta)
    reached = -np.expm1(-kernel.cumulative_hazard)
    survival_k = np.exp(-kernel.cumulative_hazard)
    d_c = np.concatenate([(-not_pi * reached)[None, :], bound * survival_k * kernel.d_cumulative_hazard])
    d_log_h = np.concatenate([(-not_pi / bound)[None, :], kernel.d_log_hazard - kernel.d_cumulative_hazard])
    return Terms(np.log(bound) + kernel.log_hazard - kernel.cumulative_hazard, bound * reached, d_log_h, d_c)
