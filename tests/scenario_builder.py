"""A small, complete scenario for tests: every kind of arm, every number assumed, none uncertain.

    raw = minimal_scenario(arms={"autologous": {"price": {"per_patient": money(300_000)}}})
    scenario = build(raw)

The numbers are round, plausible for large B-cell lymphoma, and chosen so that each mechanism is exercised.
They are not evidence: tests compare the code with closed forms at these numbers, never with the clinic.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from cartsight.scenario import Scenario, validate

Raw = dict[str, Any]
REASON = "round figure for tests"


def number(value: float, unit: str, reason: str = REASON, **more: Any) -> Raw:
    """Return an assumed number as a scenario file writes it."""
    return {"value": value, "unit": unit, "assumed": reason, **more}


def probability(value: float, **more: Any) -> Raw:
    """Return an assumed probability."""
    return number(value, "probability", **more)


def days(value: float, **more: Any) -> Raw:
    """Return an assumed duration in days."""
    return number(value, "days", **more)


def months(value: float, **more: Any) -> Raw:
    """Return an assumed duration in months."""
    return number(value, "months", **more)


def per_year(value: float, **more: Any) -> Raw:
    """Return an assumed rate per year."""
    return number(value, "per_year", **more)


def money(value: float, **more: Any) -> Raw:
    """Return an assumed amount in 2024 US dollars."""
    return number(value, "usd_2024", **more)


def utility(value: float, **more: Any) -> Raw:
    """Return an assumed utility."""
    return number(value, "utility", **more)


def spread_days(mean: float, cv: float = 0.25) -> Raw:
    """Return a lognormal duration that differs between patients."""
    return days(mean, law="lognormal", cv=cv)


def population() -> Raw:
    """Return the population section."""
    return {
        "indication": "test lymphoma",
        "description": "patients of the tests",
        "regions": {"north": {"referrals_per_year": per_year(400), "hospitals": 4}},
        "age": number(60, "years", law="normal", cv=0.15),
        "female": probability(0.4),
        "health_states": {
            "fit": {
                "death": per_year(0.35),
                "ineligibility": per_year(0.35),
                "worsening": per_year(1.2),
                "worsens_to": "worsened",
            },
            "worsened": {"death": per_year(1.5), "ineligibility": per_year(1.2)},
        },
        "frailty_sd": number(0.4, "log_odds"),
        "background_mortality": {
            "life_table": "us",
            "year": 2019,
            "standardised_mortality_ratio": number(1.4, "ratio"),
        },
        "other_care": {
            "label": "other care",
            "survival": {"law": "exponential", "median": months(6), "cured": probability(0.05)},
            "utility": utility(0.6),
            "cost_per_month": money(6_000),
            "cost_at_start": money(3_000),
        },
        # Ara & Brazier 2010, doi:10.1111/j.1524-4733.2010.00700.x, for women.
        "utility_by_age": {
            "constant": number(0.9508566, "ratio"),
            "per_year": number(-0.0002587, "ratio"),
            "per_year_squared": number(-0.0000332, "ratio"),
        },
        "waiting_utility": utility(0.7),
        "waiting_cost_per_month": money(2_500),
    }


def care_pathway() -> Raw:
    """Return the care pathway section: two steps that all arms share, and one for arms that infuse."""
    infuses = ["autologous", "allogeneic", "in_vivo"]
    return {
        "steps": {
            "consult": {
                "time": spread_days(7),
                "leaves": probability(0.05),
                "because": "declined",
                "cost": money(500),
            },
            "eligibility": {
                "time": spread_days(5),
                "leaves": probability(0.15),
                "because": "not eligible",
                "cost": money(2_000),
            },
            "payer approval": {
                "time": spread_days(8),
                "leaves": probability(0.04),
                "because": "not approved",
                "modalities": infuses,
            },
        },
        "bridging": {
            "share": probability(0.6),
            "hazard_ratio_of_worsening": number(0.7, "hazard_ratio"),
            "cost_per_month": money(10_000),
        },
        "infusion_bed": {"beds_per_hospital": 12, "stay": spread_days(14)},
    }


def efficacy() -> Raw:
    """Return efficacy with a cure among complete responders."""
    return {
        "complete_response": probability(0.5),
        "overall_response": probability(0.75),
        "cure": {
            "among_complete_responders": probability(0.6),
            "justification": "a plateau is assumed here so that tests can check the mixture cure model",
        },
        "relapse": {"law": "weibull", "median": months(5), "shape": number(0.9, "ratio")},
        "survival_after_relapse": {"law": "lognormal", "median": months(7), "shape": number(1.1, "ratio")},
        "assessment": days(30),
        "odds_ratio_if_worsened": number(0.5, "odds_ratio"),
        "hazard_ratio_if_worsened": number(1.5, "hazard_ratio"),
        "non_relapse_mortality": probability(0.06),
    }


def product_arm(label: str) -> Raw:
    """Return what all arms that infuse a product share."""
    return {
        "label": label,
        "description": "an arm of the tests",
        "evidence_note": "no evidence: figures for tests",
        "efficacy": efficacy(),
        "toxicity": {
            "events": {
                "CRS grade 3+": {
                    "probability": probability(0.08),
                    "cost": money(40_000),
                    "utility_loss": utility(0.5),
                    "lasts": days(7),
                },
                "ICANS grade 3+": {
                    "probability": probability(0.12),
                    "cost": money(30_000),
                    "utility_loss": utility(0.4),
                    "lasts": days(10),
                },
                "prolonged cytopenia": {
                    "probability": probability(0.3),
                    "cost": money(15_000),
                    "utility_loss": utility(0.1),
                    "lasts": days(60),
                },
            },
            "b_cell_aplasia": {
                "probability": probability(0.4),
                "lasts": months(18),
                "immunoglobulin_cost_per_month": money(2_000),
            },
        },
        "long_term": {
            "utility_remission": utility(0.82),
            "utility_relapsed": utility(0.55),
            "follow_up_cost_first_year": money(12_000),
            "follow_up_cost_per_year_later": money(3_000),
            "relapse_care_cost_at_start": money(5_000),
            "relapse_care_cost_per_month": money(8_000),
            "end_of_life_cost": money(20_000),
        },
        "price": {"per_patient": money(400_000)},
        "hospital": {"infusion_and_stay": money(60_000), "lymphodepletion": money(5_000)},
        "lymphodepletion": days(5),
    }


def lot_process(lot_effect_sd: float = 0.3) -> Raw:
    """Return lots that serve a stock."""
    return {
        "lines": 3,
        "manufacturing": spread_days(20),
        "release_testing": spread_days(14),
        "failure": probability(0.1),
        "rejection": probability(0.05),
        "doses_per_lot": number(40, "count"),
        "shelf_life": days(365),
        "reorder_point": 60,
        "order_up_to": 160,
        "initial_stock": 100,
        "lot_effect_sd": number(lot_effect_sd, "log_odds"),
    }


def lot_costs() -> Raw:
    """Return cost of goods of a product made in lots."""
    return {
        "site_per_year": money(8e6),
        "line_per_year": money(1e6),
        "quality_overhead_per_site_year": money(2e6),
        "materials_per_lot": money(150_000),
        "vector_per_lot": money(200_000),
        "labour_per_lot": money(80_000),
        "quality_control_per_lot": money(60_000),
        "fill_and_storage_per_dose": money(500),
        "shipping_per_shipment": money(1_500),
    }


def autologous() -> Raw:
    """Return an autologous arm from one central plant."""
    return {
        "modality": "autologous",
        **product_arm("Autologous"),
        "hospital": {
            "leukapheresis": money(10_000),
            "infusion_and_stay": money(60_000),
            "lymphodepletion": money(5_000),
        },
        "collection": {
            "wait_for_slot": spread_days(7),
            "beds_per_hospital": 4,
            "time": days(1),
            "failure": probability(0.03),
        },
        "process": {
            "starting_material": "cryopreserved",
            "shipping_out": days(2),
            "shipping_back": days(2),
            "manufacturing": spread_days(9, 0.1),
            "release_testing": spread_days(9, 0.2),
            "manufacturing_failure": probability(0.04),
            "out_of_specification": probability(0.07),
            "odds_ratio_if_worsened": number(2.0, "odds_ratio"),
            "patient_sd": number(0.8, "log_odds"),
            "infuse_out_of_specification": probability(0.6),
            "out_of_specification_approval": days(7),
            "odds_ratio_response_out_of_specification": number(0.7, "odds_ratio"),
        },
        "sites": {"central plant": {"lines": 30, "quality_control_lanes": 40}},
        "costs": {
            "site_per_year": money(20e6),
            "line_per_year": money(500_000),
            "quality_overhead_per_site_year": money(4e6),
            "materials_per_batch": money(20_000),
            "vector_per_batch": money(20_000),
            "labour_per_batch": money(15_000),
            "quality_control_per_batch": money(10_000),
            "shipping_per_shipment": money(2_000),
        },
    }


def allogeneic() -> Raw:
    """Return an allogeneic arm with retreatment and shorter persistence."""
    arm = product_arm("Allogeneic")
    arm["efficacy"]["complete_response"] = probability(0.4)
    arm["efficacy"]["overall_response"] = probability(0.6)
    arm["efficacy"]["relapse"]["median"] = months(4)
    return {
        "modality": "allogeneic",
        **arm,
        "price": {"per_patient": money(250_000)},
        "cell_source": "donor",
        "lots": lot_process(),
        "order_to_delivery": days(3),
        "retreatment": {"share": probability(0.3), "odds_ratio_of_response": number(0.6, "odds_ratio")},
        "costs": {**lot_costs(), "donor_per_lot": money(20_000)},
    }


def in_vivo() -> Raw:
    """Return an in vivo arm with redosing and no lymphodepletion."""
    arm = product_arm("In vivo")
    del arm["lymphodepletion"]
    del arm["hospital"]["lymphodepletion"]
    return {
        "modality": "in_vivo",
        **arm,
        "price": {"per_patient": money(200_000)},
        "vector": "lentiviral",
        "lots": lot_process(0.0),
        "order_to_delivery": days(2),
        "expression": probability(0.8),
        "redosing": {
            "maximum_courses": 2,
            "interval": days(21),
            "immunity": number(0.01, "per_day"),
            "visit_cost": money(4_000),
        },
        "costs": lot_costs(),
    }


def other_care() -> Raw:
    """Return the arm without cell therapy."""
    return {
        "modality": "other_care",
        "label": "Other care",
        "description": "no cell therapy",
        "evidence_note": "no evidence: figures for tests",
        "end_of_life_cost": money(20_000),
    }


def minimal_scenario(**changes: Any) -> Raw:
    """Return raw scenario data with the arms autologous, allogeneic, in_vivo and other_care.

    Keyword arguments name sections and are merged into the result: dictionaries merge key by key, a number
    (anything that `number` returns) is replaced whole, and ``None`` removes the key.
    """
    raw: Raw = {
        "name": "test-scenario",
        "title": "A scenario for tests",
        "description": "Small and complete.",
        "population": population(),
        "care_pathway": care_pathway(),
        "arms": {
            "autologous": autologous(),
            "allogeneic": allogeneic(),
            "in_vivo": in_vivo(),
            "other_care": other_care(),
        },
        "analysis": {
            "horizon_years": 40,
            "discount_rate_costs": 0.03,
            "discount_rate_effects": 0.03,
            "patients": 400,
            "warm_up_days": 200,
            "draws": 8,
            "seed": 7,
        },
    }
    return merged(raw, changes)


def merged(base: Raw, changes: Raw) -> Raw:
    """Return `base` with `changes` merged in; neither argument is changed."""
    result = copy.deepcopy(base)
    for key, item in changes.items():
        old = result.get(key)
        if item is None:
            result.pop(key, None)
        elif isinstance(item, dict) and isinstance(old, dict) and not {"value", "assumed"} & item.keys():
            result[key] = merged(old, item)
        else:
            result[key] = copy.deepcopy(item)
    return result


def build(raw: Raw | None = None, **changes: Any) -> Scenario:
    """Return the validated scenario of raw data (by default `minimal_scenario()`) with changes merged in."""
    return validate(merged(minimal_scenario() if raw is None else raw, changes), Path("test.toml"))


def later_tables() -> Raw:
    """Return the optional tables of an arm: two later lines, a transplant, a secondary malignancy."""
    return {
        "after_relapse": {
            "lines": {
                "bispecific": {
                    "label": "Bispecific antibody",
                    "share": probability(0.7),
                    "response": probability(0.4),
                    "time_to_failure": {"law": "exponential", "median": months(10), "cured": probability(0.3)},
                    "assessment": days(45),
                    "utility_in_response": utility(0.7),
                    "cost_at_start": money(20_000),
                    "cost_per_month": money(30_000),
                    "paid_for_at_most": months(8),
                },
                "chemotherapy": {
                    "label": "Chemotherapy",
                    "share": probability(0.5),
                    "response": probability(0.3),
                    "time_to_failure": {"law": "weibull", "median": months(4), "shape": number(1.2, "ratio")},
                    "assessment": days(60),
                    "treatment_related_mortality": probability(0.05),
                    "utility_in_response": utility(0.65),
                    "cost_at_start": money(60_000),
                },
            }
        },
        "transplant": {
            "share_in_first_response": probability(0.05),
            "share_in_later_response": probability(0.3),
            "after": days(90),
            "hazard_ratio_of_relapse": number(0.5, "hazard_ratio"),
            "treatment_related_mortality": probability(0.2),
            "cost": money(250_000),
            "utility_loss": utility(0.15),
            "lasts": days(365),
        },
        "secondary_malignancy": {
            "probability": probability(0.14),
            "within": months(36),
            "survival": {"law": "exponential", "median": months(40), "cured": probability(0.4)},
            "utility_loss": utility(0.1),
            "cost_at_start": money(40_000),
            "cost_per_month": money(3_000),
        },
    }
