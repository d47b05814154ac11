"""Survival evidence: estimates, reconstruction of published curves, laws and their fits."""

from cartsight.evidence.survival.background import BackgroundRates, PopulationMortality, background_rates
from cartsight.evidence.survival.competing_events import CumulativeIncidence, aalen_johansen
from cartsight.evidence.survival.composite_laws import MixtureCure, ModelAverage, NonMixtureCure, OnBackground
from cartsight.evidence.survival.cure_profile import CureProfile, cure_profile
from cartsight.evidence.survival.extrapolation import (
    EarlyCut,
    Landmarks,
    WeightedModels,
    average_models,
    early_cut_validation,
    fitted_landmarks,
)
from cartsight.evidence.survival.fitting import Fit, FitError, bootstrap, fit
from cartsight.evidence.survival.kaplan_meier import (
    Estimate,
    KaplanMeier,
    NelsonAalen,
    kaplan_meier,
    nelson_aalen,
    number_at_risk,
)
from cartsight.evidence.survival.laws import (
    Exponential,
    GeneralisedGamma,
    Gompertz,
    Law,
    LogLogistic,
    LogNormal,
    RoystonParmar,
    Weibull,
)
from cartsight.evidence.survival.log_rank import LogRank, log_rank
from cartsight.evidence.survival.models import DEFAULT_MODELS, ModelName, parse_model
from cartsight.evidence.survival.observations import SurvivalData
from cartsight.evidence.survival.published_landmarks import (
    Landmark,
    LandmarkFit,
    PublishedMedian,
    fit_landmarks,
)
from cartsight.evidence.survival.reconstruction import Diagnostics, Reconstruction, reconstruct
from cartsight.evidence.survival.scenario_law import (
    SCENARIO_MODELS,
    LawNumber,
    ScenarioLaw,
    best_scenario_law,
    scenario_law,
)
from cartsight.evidence.survival.smoothed_hazard import SmoothedHazard, smoothed_hazard

__all__ = [
    "DEFAULT_MODELS",
    "SCENARIO_MODELS",
    "BackgroundRates",
    "CumulativeIncidence",
    "CureProfile",
    "Diagnostics",
    "EarlyCut",
    "Estimate",
    "Exponential",
    "Fit",
    "FitError",
    "GeneralisedGamma",
    "Gompertz",
    "KaplanMeier",
    "Landmark",
    "LandmarkFit",
    "Landmarks",
    "Law",
    "LawNumber",
    "LogLogistic",
    "LogNormal",
    "LogRank",
    "MixtureCure",
    "ModelAverage",
    "ModelName",
    "NelsonAalen",
    "NonMixtureCure",
    "OnBackground",
    "PopulationMortality",
    "PublishedMedian",
    "Reconstruction",
    "RoystonParmar",
    "ScenarioLaw",
    "SmoothedHazard",
    "SurvivalData",
    "WeightedModels",
    "Weibull",
    "aalen_johansen",
    "average_models",
    "background_rates",
    "best_scenario_law",
    "bootstrap",
    "cure_profile",
    "early_cut_validation",
    "fit",
    "fit_landmarks",
    "fitted_landmarks",
    "kaplan_meier",
    "log_rank",
    "nelson_aalen",
    "number_at_risk",
    "parse_model",
    "reconstruct",
    "scenario_law",
    "smoothed_hazard",
]
