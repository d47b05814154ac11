"""Statistics of simulation: replications, stopping, warm-up, allocation of runs, selection. See docs/method/simulation_statistics.md."""

from cartsight.comparison.simulation_statistics.allocation import (
    Allocation,
    RunCosts,
    ThreeLevelSplit,
    cheapest_allocation,
    run_costs,
    split_three_levels,
)
from cartsight.comparison.simulation_statistics.multiple_comparisons import (
    Contrast,
    contrasts_with_reference,
    dunnett_critical_value,
    dunnett_intervals,
    holm,
)
from cartsight.comparison.simulation_statistics.replications import MeanInterval, mean_interval
from cartsight.comparison.simulation_statistics.stopping import (
    SequentialResult,
    StoppingRule,
    replications_needed,
    run_until_precise,
)
from cartsight.comparison.simulation_statistics.time_to_infusion import IncidenceBand, incidence_band, incidence_of
from cartsight.comparison.simulation_statistics.warm_up import (
    BatchMeans,
    Truncation,
    WelchPlot,
    batch_means,
    mser,
    welch_plot,
    without_warm_up,
)
from cartsight.core.ranking_and_selection import Selection, select_best

__all__ = [
    "Allocation",
    "BatchMeans",
    "Contrast",
    "IncidenceBand",
    "MeanInterval",
    "RunCosts",
    "Selection",
    "SequentialResult",
    "StoppingRule",
    "ThreeLevelSplit",
    "Truncation",
    "WelchPlot",
    "batch_means",
    "cheapest_allocation",
    "contrasts_with_reference",
    "dunnett_critical_value",
    "dunnett_intervals",
    "holm",
    "incidence_band",
    "incidence_of",
    "mean_interval",
    "mser",
    "replications_needed",
    "run_costs",
    "run_until_precise",
    "select_best",
    "split_three_levels",
    "welch_plot",
    "without_warm_up",
]
