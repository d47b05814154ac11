"""Assays and lots: relative potency, comparability, tolerance, capability, variance components, charts,
counting.
"""

from cartsight.evidence.quality.capability import Capability, capability
from cartsight.evidence.quality.cell_counting import CellCountQuality, cell_count_quality
from cartsight.evidence.quality.comparability import Comparability, compare
from cartsight.evidence.quality.control_charts import (
    ControlChart,
    cusum_chart,
    ewma_chart,
    individuals_chart,
    means_chart,
    westgard_chart,
)
from cartsight.evidence.quality.equivalence import equivalence_power, lots_needed, two_one_sided_tests
from cartsight.evidence.quality.gauge import GaugeStudy, gauge_study
from cartsight.evidence.quality.out_of_specification import out_of_specification_probability
from cartsight.evidence.quality.potency import analyse_potency, combine
from cartsight.evidence.quality.quantities import (
    capability_quantity,
    combined_quantity,
    component_quantity,
    out_of_specification_quantity,
    potency_quantity,
)
from cartsight.evidence.quality.random_effects import build_study, read_study
from cartsight.evidence.quality.sterility import (
    TimeToDetection,
    detection_by_containers,
    detection_by_volume,
    release_risk,
)
from cartsight.evidence.quality.tolerance import ToleranceInterval, tolerance_interval
from cartsight.evidence.quality.variance_components import VarianceComponents, estimate_variance_components

__all__ = [
    "Capability",
    "CellCountQuality",
    "Comparability",
    "ControlChart",
    "GaugeStudy",
    "TimeToDetection",
    "ToleranceInterval",
    "VarianceComponents",
    "analyse_potency",
    "build_study",
    "capability",
    "capability_quantity",
    "cell_count_quality",
    "combine",
    "combined_quantity",
    "compare",
    "component_quantity",
    "cusum_chart",
    "detection_by_containers",
    "detection_by_volume",
    "equivalence_power",
    "estimate_variance_components",
    "ewma_chart",
    "gauge_study",
    "individuals_chart",
    "lots_needed",
    "means_chart",
    "out_of_specification_probability",
    "out_of_specification_quantity",
    "potency_quantity",
    "read_study",
    "release_risk",
    "tolerance_interval",
    "two_one_sided_tests",
    "westgard_chart",
]
