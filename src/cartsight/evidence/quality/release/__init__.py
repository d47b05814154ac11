"""From attributes to a lot decision: latent model, measurement, decision, risks, guard bands, marginal values."""

from cartsight.evidence.quality.release.lots import Lots, Patients, draw_patients, generate_lots, named_places
from cartsight.evidence.quality.release.quadrature import exact_risk, joint_pass_probability
from cartsight.evidence.quality.release.reading import build_release_specification, read_release_specification
from cartsight.evidence.quality.release.risk import ReleaseRisk, evaluate
from cartsight.evidence.quality.release.specification import STATES, ReleaseSpecification

__all__ = [
    "STATES",
    "Lots",
    "Patients",
    "ReleaseRisk",
    "ReleaseSpecification",
    "build_release_specification",
    "draw_patients",
    "evaluate",
    "exact_risk",
    "generate_lots",
    "joint_pass_probability",
    "named_places",
    "read_release_specification",
]
