"""After the pathway: response, relapse, death, toxicity, quality of life; access; survival curves on two clocks."""

from cartsight.outcomes.background import BackgroundHazard
from cartsight.outcomes.draws import PatientDraws
from cartsight.outcomes.result import CAUSES_OF_DEATH, Outcomes
from cartsight.outcomes.simulate import simulate_outcomes

__all__ = [
    "CAUSES_OF_DEATH",
    "BackgroundHazard",
    "Outcomes",
    "PatientDraws",
    "simulate_outcomes",
]
