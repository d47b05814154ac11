"""What the model leaves out, by modality: printed in every report, so that nobody has to guess it."""

from __future__ import annotations

from typing import Any

from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product

_ALWAYS = (
    "Each arm treats every referred patient alone: arms do not share plants, hospitals or patients, and nobody switches to another arm's product after a failure; they go to other care.",
    "Demand is steady over the observation window: no growth, season, launch or ramp-up, and no learning of plants or hospitals.",
    "Patients do not travel: distance, lodging, caregivers' time and lost work are not counted.",
    "The price is paid as stated: no confidential discount, outcome-based contract, instalment or change of payer.",
    "Late infertility, late infections and other rare late effects have no event of their own; they are in non-relapse and background mortality only as far as the cited figures contain them.",
    "Structure is fixed: the family of each survival curve and the choice for or against cure are stated in the scenario and not averaged over alternatives.",
    "Utilities fall with age as in the general population; disutility of waiting is a constant.",
)
_BY_MODALITY = {
    "autologous": (
        "Autologous: cell quality counts as in or out of specification; the spread of potency among released batches does not change the outcome.",
        "Autologous: vector supply and equipment failure are not simulated; operators and batch-record review limit a plant only where the scenario states how many there are.",
    ),
    "allogeneic": (
        "Allogeneic: HLA matching, donor-specific antibodies and rejection are not events; their effect is only in the cited response and relapse.",
        "Allogeneic: donors and the vials of a cell bank limit lots only where the scenario states them; else a lot starts when stock asks for it.",
    ),
    "in_vivo": (
        "In vivo: off-target transduction, insertional events and shedding are not events; follow-up is too short for a rate.",
        "In vivo: immunity against the vector decides only whether a further dose is given, not how well it works.",
    ),
    "other_care": (
        "Other care: one survival curve and one cost for a mix of treatments whose shares change from year to year.",
    ),
}


_WITHOUT_TABLE = {
    "secondary_malignancy": "Second cancers have no event of their own; they are in non-relapse and background mortality only as far as the cited figures contain them.",
    "after_relapse": "Treatment after the product has failed is inside survival after relapse, its utility and its cost: later lines are not simulated one by one.",
    "transplant": "No response is consolidated by a transplant, except inside the cited survival figures.",
}
"""What a product arm leaves out where it does not have the table."""


def not_modelled(scenario: Scenario) -> list[dict[str, Any]]:
    """Return what this scenario's comparison leaves out: topic (``all arms`` or a modality) and statement."""
    found = [{"topic": "all arms", "statement": text} for text in _ALWAYS]
    pairs = len(scenario.analysis.correlations)
    if pairs == 0:
        text = "Uncertain parameters are drawn independently of each other, apart from numbers that the scenario shares between places."
    else:
        text = f"Uncertain parameters are drawn independently of each other, apart from shared numbers and {pairs} stated correlation(s)."
    found.append({"topic": "all arms", "statement": text})
    if scenario.analysis.perspective == "health_system_at_cost":
        found.append(
            {
                "topic": "all arms",
                "statement": "Products are charged at their cost of goods: prices, margins, research and launch costs are left out.",
            }
        )
    products = {name: arm for name, arm in scenario.arms.items() if as_product(arm) is not None}
    for table, text in _WITHOUT_TABLE.items():
        without = [arm.label for arm in products.values() if getattr(arm, table) is None]
        if without:
            topic = "all arms" if len(without) == len(products) else ", ".join(without)
            found.append({"topic": topic, "statement": text})
    modalities = dict.fromkeys(arm.modality for arm in scenario.arms.values())
    for modality in modalities:
        found += [{"topic": modality, "statement": text.partition(": ")[2]} for text in _BY_MODALITY[modality]]
    if any(getattr(arm, "at_every_hospital", None) is not None for arm in scenario.arms.values()):
        found.append(
            {
                "topic": "point of care",
                "statement": "Differences in quality between hospitals, and the time and failure of licensing each site, are not simulated; every site works from the first day.",
            }
        )
    return found
