"""What the floor of a lot-made product did in the window: starting material, stages, fillings, stores, bad lots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cartsight.scenario.arms import AllogeneicArm, InVivoArm
from cartsight.simulation import FlowResult
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.depots import (
    CENTRAL,
    DOSE_LOST,
    EXPIRED_IN_TRANSIT,
    LEFT_CENTRAL,
    WITHDRAWN_IN_TRANSIT,
    depot_stock,
)
from cartsight.simulation.pathways.lot_plant_counts import plant_record
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.plant import PlantRecord, StoreUse
from cartsight.simulation.pathways.plants import LINE
from cartsight.simulation.pathways.recall import BAD, can_be_bad
from cartsight.simulation.pathways.shared_lines import FILL_LINE
from cartsight.simulation.pathways.supplies import supply_counts

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


def lot_record(plant: PlantRecord, arm: AllogeneicArm | InVivoArm, result: FlowResult, window: Window) -> PlantRecord:
    """Return the record with what the floor of a lot-made product counts, in the window."""
    counts: dict[str, float] = {}
    counts |= _starting_material(arm, result, window)
    counts |= _stages(arm, result, window)
    counts |= _bad_lots(arm, result, window)
    counts |= supply_counts(result, arm.lots.supplies, window)
    stores, more = _stores(arm, result, window)
    counts |= more
    received = stores[0].received
    plant = plant_record(plant, arm.lots, result, window)
    counts |= plant.counts
    return replace(
        plant,
        lines=plant.lines if arm.lots.shared is None else _own_lines(result, LINE, window),
        doses_received=received,
        doses_taken=sum(store.taken for store in stores) - counts.get("doses sent to depots", 0.0),
        doses_expired=sum(store.expired for store in stores) + counts.get("doses expired in transit", 0.0),
        shipments=plant.shipments + int(counts.get("consignments to depots", 0.0)),
        stores=stores,
        counts=counts,
    )


def _inside(times: Float, window: Window) -> Bool:
    return np.asarray((times >= window.start) & (times < window.end))


def _marked(result: FlowResult, name: str, window: Window) -> Bool:
    """Return which lots and children passed a mark in the window; none where the model has no such mark."""
    if name not in (mark for mark, _ in result.lots.mark_names):
        return np.zeros(len(result.lots), dtype=np.bool_)
    return _inside(result.lots.mark(name), window)


def _ended(result: FlowResult, status: str, window: Window) -> Bool:
    if status not in result.lots.statuses:
        return np.zeros(len(result.lots), dtype=np.bool_)
    return np.asarray(result.lots.ended(status) & _inside(result.lots.end_time, window))


def _starting_material(arm: AllogeneicArm | InVivoArm, result: FlowResult, window: Window) -> dict[str, float]:
    lots = arm.lots
    if lots.donors is not None:
        collected = _marked(result, "donor collected", window)
        return {
            "donor leukaphereses": float(collected.sum()),
            "donors screened": float(result.lots.attribute("donors_screened")[collected].sum()),
        }
    if lots.cell_bank is not None:
        return {
            "working banks started": float(_marked(result, "working bank started", window).sum()),
            "working banks failed": float(_ended(result, "working bank failed", window).sum()),
            "bank vials used": float(_marked(result, "starting material taken", window).sum())
            * lots.cell_bank.vials_per_lot,
        }
    return {}


def _stages(arm: AllogeneicArm | InVivoArm, result: FlowResult, window: Window) -> dict[str, float]:
    lots = arm.lots
    counts: dict[str, float] = {}
    failed = _ended(result, "failed", window)
    if lots.stage_failures or lots.fill_line is not None:
        stage = result.lots.attribute("stage")
        for number, name in enumerate(lots.stage_failures, start=1):
            counts[f"lots failed: {name}"] = float(np.count_nonzero(failed & (stage == number)))
        if lots.fill_line is not None:
            counts["lots failed: filling"] = float(np.count_nonzero(failed & (stage == -1.0)))
    if lots.fill is not None:
        filled = _marked(result, "lot filled", window)
        counts["vials filled"] = float(np.floor(result.lots.attribute("vials")[filled] + 1e-9).sum())
        partial = result.lots.attribute("partial") > 0
        counts["partial lots rejected"] = float(np.count_nonzero(partial & _ended(result, "rejected", window)))
    if lots.fill_line is not None:
        counts["fillings"] = float(_marked(result, "filling started", window).sum())
        lines = lots.fill_line.lines if lots.fill_line.shared is None else _own_lines(result, FILL_LINE, window)
        counts["fill line years"] = lines * window.years
    return counts


def _own_lines(result: FlowResult, pool: str, window: Window) -> float:
    """Return the mean number of shared lines that this product has over the window: the other use pays for the rest."""
    uses = [result.resource(name, window=True) for name in result.resource_names if name.split("/", 1)[0] == pool]
    # A run that is finished in a campaign of the other use still has its line.
    return sum(use.capacity + use.drain for use in uses) / (window.end - window.start)


def _bad_lots(arm: AllogeneicArm | InVivoArm, result: FlowResult, window: Window) -> dict[str, float]:
    lots = arm.lots
    if not can_be_bad(lots):
        return {}
    bad = _marked(result, "lot released", window) & (result.lots.attribute(BAD) > 0)
    counts = {"bad lots released": float(bad.sum())}
    patients = result.patients
    treated = patients.ended(t.INFUSED) if t.INFUSED in patients.statuses else np.zeros(len(patients), dtype=np.bool_)
    # A dose from a depot comes from a consignment, which carries the number of the lot that it was taken from.
    origin = result.lots.attribute("origin")
    from_bad = (result.lots.attribute(BAD) > 0) & np.isin(origin, origin[bad])
    reached = np.zeros(len(patients), dtype=np.bool_)
    reached[result.doses.patients_of(*np.flatnonzero(from_bad).tolist())] = True
    reached &= treated
    # Of the lots released in the window, whenever the patient was treated: the reach of a lot is cut by nothing.
    counts["patients treated from bad lots"] = float(reached.sum())
    if lots.recall is None:
        return counts
    places = ["at the central store", *(f"at {name}" for name in lots.depots)]
    withdrawn = result.lots.attribute("withdrawn")
    counts["lots recalled"] = float(_marked(result, f"recalled {places[0]}", window).sum())
    counts["doses withdrawn"] = float(
        sum(withdrawn[_marked(result, f"recalled {place}", window)].sum() for place in places)
        + _ended(result, WITHDRAWN_IN_TRANSIT, window).sum()
    )
    return counts


def _consignments_that_waited(arm: AllogeneicArm | InVivoArm, result: FlowResult, window: Window) -> float:
    """Return how many doses for depots were asked for in the window and not there at once."""
    lots = result.lots
    sent = np.zeros(len(lots), dtype=np.bool_)
    for name in arm.lots.depots:
        sent |= lots.of(depot_stock(name)) & (lots.number >= 0)
    at_once = lots.mark(LEFT_CENTRAL) <= lots.start
    return float(np.count_nonzero(sent & _inside(lots.start, window) & ~at_once))


def _stores(
    arm: AllogeneicArm | InVivoArm, result: FlowResult, window: Window
) -> tuple[tuple[StoreUse, ...], dict[str, float]]:
    days = window.end - window.start
    stores = []
    for name, stock in (("central", CENTRAL), *((name, depot_stock(name)) for name in arm.lots.depots)):
        use = result.stock(stock, window=True)
        stores.append(
            StoreUse(
                name=name,
                received=use.received,
                taken=use.taken,
                expired=use.expired,
                out_of_stock_fraction=use.stock_out / days,
                orders_waited=use.waited,
                mean_on_hand=use.on_hand / days,
            )
        )
    log = result.patients.log
    taken = _inside(log.of(t.DOSE_TAKEN)[1], window) if t.DOSE_TAKEN in log.names else np.zeros(0, dtype=np.bool_)
    counts = {"dose orders": float(taken.sum())}
    waited = stores[0].orders_waited
    if arm.lots.depots:
        left = _marked(result, LEFT_CENTRAL, window)
        counts["doses sent to depots"] = float(left.sum())
        counts["doses expired in transit"] = float(_ended(result, EXPIRED_IN_TRANSIT, window).sum())
        # Doses that leave for one depot at one moment travel as one consignment.
        where = result.lots.stock[left]
        when = result.lots.mark(LEFT_CENTRAL)[left]
        counts["consignments to depots"] = float(len(set(zip(where.tolist(), when.tolist(), strict=True))))
        # Consignments wait for the central store as well as patients of regions without a depot.
        waited = sum(store.orders_waited for store in stores) - _consignments_that_waited(arm, result, window)
    counts["dose orders that waited"] = waited
    if arm.lots.thaw_loss is not None:
        lost = log.of(DOSE_LOST)[1] if DOSE_LOST in log.names else np.zeros(0)
        counts["doses lost at thaw"] = float(_inside(lost, window).sum()) * arm.doses_per_course
    return tuple(stores), counts
