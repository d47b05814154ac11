"""What things cost and what they are worth: discounting, ledgers, frontiers, net benefit, tables."""

from cartsight.economics.consistency import ConsistencyRow, ConsistencyStatus, check_published_rows
from cartsight.economics.discounting import (
    DAYS_PER_YEAR,
    annuity_present_value,
    continuous_rate,
    discount_factor,
    discounted_area,
    discounted_integral,
    discounted_life_years,
    present_value,
)
from cartsight.economics.frontier import (
    FrontierRow,
    FrontierStatus,
    PairwiseRow,
    Quadrant,
    cost_effectiveness_frontier,
    frontier_order,
    pairwise_comparison,
)
from cartsight.economics.ledger import CostLedger, exact_group_sums, join_ledgers
from cartsight.economics.net_benefit import (
    CostEffectivenessPlane,
    DrawSummary,
    NetBenefitSummary,
    cost_effectiveness_plane,
    net_health_benefit,
    net_monetary_benefit,
    summarise_draws,
    summarise_net_benefit,
)
from cartsight.economics.published_numbers import PrintedNumber, read_printed_number
from cartsight.economics.published_tables import PublishedRow, read_published_rows
from cartsight.economics.result_tables import (
    DrawResults,
    StrategyResults,
    read_draw_parameters,
    read_draw_results,
    read_strategy_results,
)
from cartsight.economics.threshold_price import price_at_threshold

__all__ = [
    "ConsistencyRow",
    "ConsistencyStatus",
    "CostEffectivenessPlane",
    "CostLedger",
    "DAYS_PER_YEAR",
    "DrawResults",
    "DrawSummary",
    "FrontierRow",
    "FrontierStatus",
    "NetBenefitSummary",
    "PairwiseRow",
    "PrintedNumber",
    "PublishedRow",
    "Quadrant",
    "StrategyResults",
    "annuity_present_value",
    "check_published_rows",
    "continuous_rate",
    "cost_effectiveness_frontier",
    "cost_effectiveness_plane",
    "discount_factor",
    "discounted_area",
    "discounted_integral",
    "discounted_life_years",
    "exact_group_sums",
    "frontier_order",
    "join_ledgers",
    "net_health_benefit",
    "net_monetary_benefit",
    "pairwise_comparison",
    "present_value",
    "price_at_threshold",
    "read_draw_parameters",
    "read_draw_results",
    "read_printed_number",
    "read_published_rows",
    "read_strategy_results",
    "summarise_draws",
    "summarise_net_benefit",
]
