"""Arms on common random numbers: designs, spreads, decision uncertainty, sensitivity, information."""

from cartsight.comparison.acceptability import (
    AcceptabilityCurve,
    AcceptabilityFrontier,
    ExpectedLoss,
    cost_effectiveness_acceptability_curve,
    cost_effectiveness_acceptability_frontier,
    expected_loss_curves,
    probability_best,
    rank_probabilities,
)
from cartsight.comparison.convergence import (
    DecisionConvergence,
    RunningMean,
    decision_convergence,
    draws_needed,
    replicate_standard_error,
    running_mean,
)
from cartsight.comparison.design_of_experiments import (
    correlate_gaussian_copula,
    correlate_iman_conover,
    unit_cube_design,
)
from cartsight.comparison.ratio_interval import RatioInterval, bootstrap_ratio_interval, fieller_interval
from cartsight.comparison.sensitivity import OneWayRow, OneWaySensitivity, one_way_sensitivity, tornado_table
from cartsight.comparison.spread import (
    PairedDifference,
    VarianceSplit,
    optimal_patients_per_draw,
    paired_difference,
    shrink_draw_means,
    split_variance,
    split_variance_crossed,
    split_variance_of_means,
)
from cartsight.comparison.value_of_information import (
    PartialInformation,
    PerfectInformation,
    affected_population,
    expected_value_of_partial_perfect_information,
    expected_value_of_perfect_information,
    partial_information_by_parameter,
)

__all__ = [
    "AcceptabilityCurve",
    "AcceptabilityFrontier",
    "DecisionConvergence",
    "ExpectedLoss",
    "OneWayRow",
    "OneWaySensitivity",
    "PairedDifference",
    "PartialInformation",
    "PerfectInformation",
    "RatioInterval",
    "RunningMean",
    "VarianceSplit",
    "affected_population",
    "bootstrap_ratio_interval",
    "correlate_gaussian_copula",
    "correlate_iman_conover",
    "cost_effectiveness_acceptability_curve",
    "cost_effectiveness_acceptability_frontier",
    "decision_convergence",
    "draws_needed",
    "expected_loss_curves",
    "expected_value_of_partial_perfect_information",
    "expected_value_of_perfect_information",
    "fieller_interval",
    "one_way_sensitivity",
    "optimal_patients_per_draw",
    "paired_difference",
    "partial_information_by_parameter",
    "probability_best",
    "rank_probabilities",
    "replicate_standard_error",
    "running_mean",
    "shrink_draw_means",
    "split_variance",
    "split_variance_crossed",
    "split_variance_of_means",
    "tornado_table",
    "unit_cube_design",
]
