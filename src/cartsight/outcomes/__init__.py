"""After the pathway: response, relapse, death, toxicity, quality of life; access; curves on two clocks."""

from cartsight.outcomes.access import (
    Access,
    CumulativeIncidence,
    Spread,
    access_metrics,
    cumulative_incidence,
)
from cartsight.outcomes.background import BackgroundHazard
from cartsight.outcomes.curves import (
    Curve,
    event_free_survival,
    median_months,
    overall_survival,
    progression_free_survival,
)
from cartsight.outcomes.draws import PatientDraws
from cartsight.outcomes.result import CAUSES_OF_DEATH, Outcomes
from cartsight.outcomes.simulate import simulate_outcomes

__all__ = [
    "CAUSES_OF_DEATH",
    "Access",
    "BackgroundHazard",
    "CumulativeIncidence",
    "Curve",
    "Outcomes",
    "PatientDraws",
    "Spread",
    "access_metrics",
    "cumulative_incidence",
    "event_free_survival",
    "median_months",
    "overall_survival",
    "progression_free_survival",
    "simulate_outcomes",
]
