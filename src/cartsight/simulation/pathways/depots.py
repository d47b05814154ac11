"""The dose stores: the central one, depots that it replenishes, and how a patient's order is served."""

from __future__ import annotations

from cartsight.core.distributions import Constant
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AllogeneicArm, InVivoArm
from cartsight.scenario.depots import Depot
from cartsight.scenario.lots import LotProcess
from cartsight.simulation import FlowModel
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.recall import BAD, can_be_bad, withdraw_when_found

CENTRAL, STORES = "doses", "dose stores"
DOSE_LOST = "dose lost at thaw"
LEFT_CENTRAL = "left the central store"
EXPIRED_IN_TRANSIT, WITHDRAWN_IN_TRANSIT = "expired in transit", "withdrawn in transit"


def depot_stock(name: str) -> str:
    """Return the name of a depot's stock."""
    return f"doses/{name}"


def declare_depots(model: FlowModel, scenario: Scenario, lots: LotProcess, window: Window) -> None:
    """Declare the depots' stocks, the consignments that fill them, and which store serves which region."""
    if not lots.depots:
        return
    model.attribute("depot")
    model.attribute("left", entity="lot")
    for name, depot in lots.depots.items():
        program = f"consignment to {name}"
        model.program(program, _consignment(lots, name, depot), entity="lot")
        life = lots.shelf_life.x if depot.shelf_life is None else min(depot.shelf_life.x, lots.shelf_life.x)
        model.stock(
            depot_stock(name),
            initial=[(depot.initial_stock, life)] if depot.initial_stock else [],
            reorder_point=float(depot.reorder_point),
            order_up_to=float(depot.order_up_to),
            lot_program=program,
            # One entity per dose, so that each keeps its lot and its expiry; those sent together travel together.
            doses_per_lot=1.0,
            review_until=window.arrivals_end,
        )
    stores = [CENTRAL, *(depot_stock(name) for name in lots.depots)]
    rows = []
    for region in scenario.population.regions:
        serving = [i + 1 for i, depot in enumerate(lots.depots.values()) if region in depot.regions]
        rows.append(serving or [0])
    model.depots(STORES, stores, attribute="region", matrix=rows)


def _consignment(lots: LotProcess, name: str, depot: Depot) -> list[s.Step]:
    carried = ["effect", "origin", "expires_on"]
    if can_be_bad(lots):
        carried += [BAD, "recall_on"]
    steps: list[s.Step] = [
        s.Take(CENTRAL, 1, copy={column: column for column in carried}),
        s.Mark(LEFT_CENTRAL),
        s.Delay(f"transport to {name}", Constant(depot.transport.x)),
    ]
    if lots.recall is not None:
        steps += [
            s.Test(BAD, ">", 0.0, otherwise=f"not recalled on the way to {name}"),
            s.Now("left", times=-1.0),
            s.Add("left", "recall_on"),
            s.Test("left", ">", 0.0, otherwise=s.End(WITHDRAWN_IN_TRANSIT)),
            s.Label(f"not recalled on the way to {name}"),
        ]
    steps += [
        s.Now("left", times=-1.0),
        s.Add("left", "expires_on"),
        s.Test("left", ">", 0.0, otherwise=s.End(EXPIRED_IN_TRANSIT)),
    ]
    if depot.shelf_life is not None:
        steps += [
            s.Test("left", ">", depot.shelf_life.x, otherwise=f"keeps at {name}"),
            s.Set("left", depot.shelf_life.x),
            s.Label(f"keeps at {name}"),
        ]
    return [
        *steps,
        s.Put(f"dose to {name}", depot_stock(name), 1, "left"),
        *withdraw_when_found(lots, depot_stock(name), f"at {name}"),
        s.End("arrived"),
    ]


def take_doses(arm: AllogeneicArm | InVivoArm) -> s.Take:
    """Return the step by which a patient's order takes the doses of one course from the store of the region."""
    lots = arm.lots
    copy = {"effect": "lot_effect"}
    if can_be_bad(lots):
        copy[BAD] = "bad_lot"
    if lots.depots:
        return s.Take(STORES, arm.doses_per_course, copy=copy, lot_into="lot", into="depot")
    return s.Take(CENTRAL, arm.doses_per_course, copy=copy, lot_into="lot")


def _ordered(arm: AllogeneicArm | InVivoArm, again: str = "") -> list[s.Step]:
    """Return the steps of one order, from the store to the hospital; `again` keeps the names of draws apart."""
    lots = arm.lots
    steps: list[s.Step] = [take_doses(arm), s.Mark(t.DOSE_TAKEN, log=True)]
    for number, (name, depot) in enumerate(lots.depots.items(), start=1):
        steps += [
            s.Test("depot", "==", float(number), otherwise=f"not from {name}{again}"),
            s.Delay(f"delivery from {name}{again}", depot.delivery.distribution),
            s.Jump(f"doses delivered{again}"),
            s.Label(f"not from {name}{again}"),
        ]
    steps.append(s.Delay(f"order to delivery{again}", arm.order_to_delivery.distribution))
    if lots.depots:
        steps.append(s.Label(f"doses delivered{again}"))
    return [*steps, s.Mark(t.SHIPMENT, log=True)]


def doses_of_a_later_course(arm: AllogeneicArm | InVivoArm) -> list[s.Step]:
    """Return the steps by which a later course gets its doses: delivered in the interval; those lost are ordered again."""
    steps: list[s.Step] = [take_doses(arm), s.Mark(t.DOSE_TAKEN, log=True), s.Mark(t.SHIPMENT, log=True)]
    if arm.lots.thaw_loss is None:
        return steps
    return [
        *steps,
        s.Label("doses of a later course arrived"),
        s.Chance(
            "doses of a later course survive thaw",
            1.0 - arm.lots.thaw_loss.x,
            otherwise="doses of a later course lost",
        ),
        s.Jump("doses of a later course thawed"),
        s.Label("doses of a later course lost"),
        s.Mark(DOSE_LOST, log=True),
        *_ordered(arm, ", later course"),
        s.Jump("doses of a later course arrived"),
        s.Label("doses of a later course thawed"),
    ]


def delivered_doses(arm: AllogeneicArm | InVivoArm) -> list[s.Step]:
    """Return the steps from a patient's order to the doses at the hospital; doses lost at thaw are ordered again."""
    lots = arm.lots
    steps = _ordered(arm)
    if lots.thaw_loss is None:
        return steps
    return [
        s.Label("order doses"),
        *steps,
        s.Chance("doses survive thaw", 1.0 - lots.thaw_loss.x, otherwise="doses lost"),
        s.Jump("doses thawed"),
        s.Label("doses lost"),
        s.Mark(DOSE_LOST, log=True),
        s.Jump("order doses"),
        s.Label("doses thawed"),
    ]
