"""Acceptance sampling by attributes: the chance that a lot passes when n vials are inspected and c defects allowed.

Exact: hypergeometric for a lot of a stated size, binomial for a lot much larger than the sample (single sampling plans
as in ANSI/ASQ Z1.4 and ISO 2859-1, type A and type B curves).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cartsight.core.errors import InputError


@dataclass(frozen=True, slots=True)
class AcceptancePlan:
    """A single sampling plan: accept the lot when at most `acceptance` of `sample_size` vials are defective."""

    sample_size: int
    acceptance: int

    def __post_init__(self) -> None:
        if self.sample_size < 1:
            raise InputError("a sample needs at least one vial", field="sample_size", found=self.sample_size)
        if not 0 <= self.acceptance < self.sample_size:
            raise InputError(
                "the acceptance number must be below the sample size",
                field="acceptance",
                found=self.acceptance,
                allowed=f"0 to {self.sample_size - 1}",
            )

    def acceptance_probability(self, defective_fraction: float, lot_size: int | None = None) -> float:
        """Return the probability that a lot is accepted (a point of the operating characteristic).

        Parameters
        ----------
        defective_fraction : float
            Share of the vials that are defective, 0 to 1.
        lot_size : int, optional
            Vials in the lot: exact hypergeometric, with the number of defective vials rounded. Without it, binomial.

        Raises
        ------
        InputError
            A fraction outside [0, 1], or a sample larger than the lot.
        """
        if not 0.0 <= defective_fraction <= 1.0:
            raise InputError(
                "a share lies between 0 and 1", field="defective_fraction", found=defective_fraction, allowed="[0, 1]"
            )
        n, c, p = self.sample_size, self.acceptance, defective_fraction
        if lot_size is None:
            return math.fsum(math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(c + 1))
        if n > lot_size:
            raise InputError(
                "the sample is larger than the lot", field="sample_size", found=n, allowed=f"up to {lot_size}"
            )
        bad = round(p * lot_size)
        ways = sum(math.comb(bad, k) * math.comb(lot_size - bad, n - k) for k in range(min(c, bad) + 1))
        return ways / math.comb(lot_size, n)


def smallest_plan(
    acceptable: float,
    producers_risk: float,
    unacceptable: float,
    consumers_risk: float,
    *,
    largest_sample: int = 5000,
) -> AcceptancePlan:
    """Return the smallest sample that meets both points of the operating characteristic (binomial).

    Parameters
    ----------
    acceptable, unacceptable : float
        Defective fractions that should pass and that should not.
    producers_risk : float
        Highest probability of rejecting a lot at `acceptable`.
    consumers_risk : float
        Highest probability of accepting a lot at `unacceptable`.

    Raises
    ------
    InputError
        The fractions or risks make no sense, or no sample up to `largest_sample` does it.
    """
    if not 0.0 <= acceptable < unacceptable <= 1.0:
        raise InputError(
            "the acceptable defective fraction must lie below the unacceptable one",
            field="acceptable",
            found=(acceptable, unacceptable),
        )
    for name, risk in (("producers_risk", producers_risk), ("consumers_risk", consumers_risk)):
        if not 0.0 < risk < 1.0:
            raise InputError("a risk lies between 0 and 1", field=name, found=risk, allowed="(0, 1)")
    acceptance = 0
    for sample in range(1, largest_sample + 1):
        # The smallest acceptance number that protects the producer only grows with the sample.
        while (
            acceptance < sample
            and AcceptancePlan(sample, acceptance).acceptance_probability(acceptable) < 1.0 - producers_risk
        ):
            acceptance += 1
        if acceptance >= sample:
            acceptance = sample - 1
            continue
        plan = AcceptancePlan(sample, acceptance)
        if plan.acceptance_probability(unacceptable) <= consumers_risk:
            return plan
    raise InputError(
        "no plan meets both risks",
        field="largest_sample",
        found=largest_sample,
        allowed="a larger sample or wider risks",
    )
