"""What a sterility test can see: sampling, volume and time to detection.

A test of n containers finds contamination of a share p of them with probability 1 - (1 - p)^n; a test of
volume v at c organisms per mL has something to grow with probability 1 - exp(-c v). A culture that will turn
positive does so after a random time, so that release on day t is a point on a curve and not a switch. Sample
sizes: USP <71> table 3 (parenteral products) and Ph. Eur. 2.6.27 section 4 (cell-based preparations), both
from memory of the tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from cartsight.core.errors import InputError


def detection_by_containers(contaminated_share: float, containers: int) -> float:
    """Return the probability that at least one tested container is contaminated."""
    if not 0.0 <= contaminated_share <= 1.0:
        raise InputError("the share of contaminated containers must lie between 0 and 1", found=contaminated_share)
    if containers < 0:
        raise InputError("the number of containers cannot be negative", found=containers)
    return 1.0 - (1.0 - contaminated_share) ** containers


def detection_by_volume(organisms_per_ml: float, volume_ml: float) -> float:
    """Return the probability that the tested volume holds at least one organism (Poisson)."""
    if organisms_per_ml < 0 or volume_ml < 0:
        raise InputError("concentration and volume cannot be negative", found=(organisms_per_ml, volume_ml))
    return -math.expm1(-organisms_per_ml * volume_ml)


def usp_71_containers(batch_containers: int) -> int:
    """Return the containers to test of a batch of a parenteral product (USP <71>)."""
    if batch_containers < 1:
        raise InputError("a batch has at least one container", found=batch_containers)
    if batch_containers <= 100:
        return min(batch_containers, max(math.ceil(0.1 * batch_containers - 1e-9), 4))
    if batch_containers <= 500:
        return 10
    return min(math.ceil(0.02 * batch_containers - 1e-9), 20)


def ph_eur_2627_volume_ml(product_volume_ml: float) -> float:
    """Return the volume to test of a cell-based preparation (Ph. Eur. 2.6.27)."""
    if not product_volume_ml > 0:
        raise InputError("the product volume must be above zero", found=product_volume_ml)
    if product_volume_ml >= 1000:
        return 10.0
    if product_volume_ml >= 10:
        return 0.01 * product_volume_ml
    if product_volume_ml >= 1:
        return 0.1
    raise InputError(
        "below 1 mL the chapter leaves the sample to justification",
        found=product_volume_ml,
        allowed="1 mL or more",
    )


@dataclass(frozen=True)
class TimeToDetection:
    """Log-normal time from inoculation to a positive signal, for cultures that will turn positive.

    Attributes
    ----------
    median_days : float
        Median time to detection.
    log_sd : float
        Standard deviation of ln time.
    sensitivity : float
        Share of contaminated samples that ever turn positive.
    """

    median_days: float
    log_sd: float
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        if not (self.median_days > 0 and self.log_sd > 0 and 0 < self.sensitivity <= 1):
            raise InputError(
                "time to detection needs median > 0, log sd > 0 and 0 < sensitivity <= 1",
                found=(self.median_days, self.log_sd, self.sensitivity),
            )

    def detected_by(self, day: float) -> float:
        """Return the probability that a contaminated sample is positive by `day`."""
        if day <= 0:
            return 0.0
        return self.sensitivity * float(stats.norm.cdf(math.log(day / self.median_days) / self.log_sd))


@dataclass(frozen=True)
class ReleaseRisk:
    """Release of a lot on `day` with no positive signal so far (all probabilities per lot)."""

    day: float
    detected_if_contaminated: float
    released_contaminated: float
    contaminated_given_released: float
    stopped: float
    stopped_though_sterile: float


def release_risk(
    day: float,
    *,
    contamination_prior: float,
    organisms_per_ml: float,
    volume_ml: float,
    detection: TimeToDetection,
    false_positive: float = 0.0,
) -> ReleaseRisk:
    """Return what a release on `day` risks.

    Parameters
    ----------
    day : float
        Day of release after inoculation.
    contamination_prior : float
        Probability that a lot is contaminated.
    organisms_per_ml, volume_ml : float
        Load of a contaminated lot, and volume tested.
    detection : TimeToDetection
        Given that the sample holds an organism.
    false_positive : float
        Probability of a positive signal by `day` from a sterile lot.
    """
    if not day >= 0:
        raise InputError("must be zero or more", field="day", found=day)
    for name, value in (("contamination_prior", contamination_prior), ("false_positive", false_positive)):
        if not 0 <= value <= 1:
            raise InputError("must lie between 0 and 1", field=name, found=value)
    seen = detection_by_volume(organisms_per_ml, volume_ml) * detection.detected_by(day)
    # an empty sample of a contaminated lot can still turn positive by mistake
    seen += (1 - seen) * false_positive
    released_bad = contamination_prior * (1 - seen)
    released_good = (1 - contamination_prior) * (1 - false_positive)
    released = released_bad + released_good
    return ReleaseRisk(
        day,
        seen,
        released_bad,
        released_bad / released if released > 0 else math.nan,
        1 - released,
        (1 - contamination_prior) * false_positive,
    )
