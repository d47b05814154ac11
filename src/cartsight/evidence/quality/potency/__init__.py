"""Relative potency: one file per kind of assay, one shape of result."""

from cartsight.evidence.quality.potency.analysis import MODELS, analyse_potency
from cartsight.evidence.quality.potency.assay import Assay, read_assay
from cartsight.evidence.quality.potency.combination import (
    AssayEstimate,
    Combination,
    combine,
    read_assay_estimates,
)
from cartsight.evidence.quality.potency.curves import curve_potency
from cartsight.evidence.quality.potency.fieller import FiellerInterval, fieller
from cartsight.evidence.quality.potency.parallel_line import parallel_line
from cartsight.evidence.quality.potency.quantal import quantal_potency
from cartsight.evidence.quality.potency.results import PotencyResult, Rules
from cartsight.evidence.quality.potency.slope_ratio import slope_ratio

__all__ = [
    "MODELS",
    "Assay",
    "AssayEstimate",
    "Combination",
    "FiellerInterval",
    "PotencyResult",
    "Rules",
    "analyse_potency",
    "combine",
    "curve_potency",
    "fieller",
    "parallel_line",
    "quantal_potency",
    "read_assay",
    "read_assay_estimates",
    "slope_ratio",
]
