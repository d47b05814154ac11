"""What things cost and what they are worth: discounting, ledgers, frontiers, net benefit, tables."""

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
from cartsight.economics.threshold_price import price_at_threshold

__all__ = [
    "CostEffectivenessPlane",
    "CostLedger",
    "DAYS_PER_YEAR",
    "DrawSummary",
    "FrontierRow",
    "FrontierStatus",
    "NetBenefitSummary",
    "PairwiseRow",
    "Quadrant",
    "annuity_present_value",
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
    "summarise_draws",
    "summarise_net_benefit",
]
