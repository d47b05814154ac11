"""From a scenario and an arm to a flow model: the pathway pieces that all modalities share, and what differs.

Every arm runs: the steps of the care pathway, its own way to a product, lymphodepletion if it has one, infusion in a
bed. While a patient waits, three clocks compete (death, becoming ineligible, worsening), all scaled by one frailty.
"""

from __future__ import annotations

from cartsight.scenario import Scenario
from cartsight.scenario.arms import AllogeneicArm, AutologousArm, InVivoArm, OtherCareArm
from cartsight.simulation import FlowModel
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.autologous import autologous_steps
from cartsight.simulation.pathways.care import care_pathway, infusion_beds, waiting_clocks
from cartsight.simulation.pathways.lots import from_stock_steps
from cartsight.simulation.pathways.patients import Window


def build_model(scenario: Scenario, arm_name: str, window: Window, extra_wait_days: float = 0.0) -> FlowModel:
    """Return the flow model of one arm.

    Parameters
    ----------
    scenario : Scenario
        At one parameter draw.
    arm_name : str
        Key of the arm.
    window : Window
        Lots start for stock until arrivals end.
    extra_wait_days : float
        Waiting added for every patient before the way to the product (a question of validation and sensitivity).
    """
    arm = scenario.arms[arm_name]
    model = FlowModel(f"{scenario.name} / {arm_name}")
    # The numbers of the plant and of what is made come first: lots that take lines at a plant share these columns.
    for name in (
        "site",
        "product",
        "region",
        "hospital",
        "frailty",
        "starting_material",
        "worsened",
        "out_of_specification",
        "expressed",
        "will_bridge",
        "bridging",
        "courses",
        "lot_effect",
        "lot",
    ):
        model.attribute(name)
    waiting_clocks(model, scenario)
    steps = care_pathway(scenario, arm.modality, extra_wait_days)
    match arm:
        case OtherCareArm():
            steps.append(s.End(t.OTHER_CARE))
        case AutologousArm():
            infusion_beds(model, scenario)
            steps += autologous_steps(model, scenario, arm, window)
        case AllogeneicArm() | InVivoArm():
            infusion_beds(model, scenario)
            steps += from_stock_steps(model, scenario, arm, window)
    model.program("patient", steps)
    return model
