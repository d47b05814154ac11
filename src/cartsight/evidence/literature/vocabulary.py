"""The closed vocabulary of the literature tables: what limits mean, and what kind of figure a value is."""

from __future__ import annotations

INTERVAL_MEANING: dict[str, str] = {
    "none": "The source gives a value only.",
    "confidence_95": "95 % confidence interval.",
    "confidence_90": "90 % confidence interval.",
    "confidence_level_unstated": "A confidence interval whose level is not stated.",
    "credible_95": "95 % credible or uncertainty interval (quantiles of posterior draws).",
    "interquartile_range": "25th and 75th percentile between patients or lots: variability, not uncertainty.",
    "standard_deviation": "Value minus and plus one standard deviation: variability, not uncertainty.",
    "range": "Smallest and largest value observed or published.",
    "scenario_values": "Values under named alternatives (years, countries, definitions): not an interval.",
    "sensitivity_range": "Limits of a sensitivity analysis: chosen by its authors, not estimated.",
    "judgement_range": "Limits set by judgement; a prior to be replaced by elicitation or data.",
    "specification_limits": "Lower and upper limit of a specification.",
    "bound_lower": "The value is a lower bound: the true one is at least this.",
    "bound_upper": "The value is an upper bound: the true one is at most this.",
    "unstated": "Low and high are given with no word on what they are; name the kind before using them.",
}
"""What low and high mean, by kind of interval."""

SAMPLING_INTERVALS = frozenset({"confidence_95", "confidence_90", "credible_95"})
"""Kinds that describe the uncertainty of the value itself and need no word from the user."""

STATISTICS = frozenset(
    {
        "coefficient_of_variation",
        "correlation",
        "cost",
        "cost_effectiveness_ratio",
        "count",
        "date",
        "deal_value",
        "discount_rate",
        "flag",
        "geometric_coefficient_of_variation",
        "hazard_ratio",
        "incidence",
        "limit",
        "limit_maximum",
        "limit_minimum",
        "maximum",
        "mean",
        "mean_change",
        "mean_cost",
        "measurement",
        "median",
        "median_cost",
        "model_input",
        "model_output",
        "odds_ratio",
        "prevalence",
        "price",
        "proportion",
        "rate",
        "ratio",
        "ratio_change",
        "relative_uncertainty",
        "revenue",
        "root_mean_square_error",
        "score",
        "standard_deviation",
        "survival_probability",
        "text",
        "time_limit",
        "typical_value",
        "unstated",
        "utility",
        "utility_decrement",
    }
)
"""What kind of figure the value is. `unstated` where the row does not say, for example, mean or median."""

STATUSES = frozenset({"read", "unverified"})
"""`read`: the figure was read in the source named. `unverified`: from memory, never a silent default."""

PRICE_YEAR_BASES: dict[str, str] = {
    "none": "Not an amount of money.",
    "stated": "The row prints the price year, or the date of the price, sale or deal.",
    "publication_year": "The price year is not printed; the year of publication is taken.",
    "data_period_end": "The price year is not printed; the last year of the cost data is taken.",
}
"""How the price year of an amount of money is known."""
