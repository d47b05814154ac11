"""What a lot starts from: material of recruited donors, or vials of a cell bank. Both are stocks that lots take from."""

from __future__ import annotations

import math

from cartsight.core.distributions import Normal
from cartsight.scenario.bank import CellBank, DonorBank
from cartsight.scenario.lots import LotProcess
from cartsight.simulation import FlowModel
from cartsight.simulation import steps as s
from cartsight.simulation.pathways.patients import Window

DONOR_MATERIAL, WORKING_BANK, MASTER_BANK = "donor material", "working cell bank", "master cell bank"


def start_material(model: FlowModel, lots: LotProcess, window: Window) -> list[s.Step]:
    """Declare the bank of a lot process and return the steps by which a lot takes its starting material."""
    if lots.donors is not None:
        take = _donors(model, lots.donors, lots, window)
    elif lots.cell_bank is not None:
        take = _cell_bank(model, lots.cell_bank, window)
    else:
        return []
    return [take, s.Mark("starting material taken")]


def _donors(model: FlowModel, donors: DonorBank, lots: LotProcess, window: Window) -> s.Take:
    model.attribute("donors_screened", entity="lot")
    model.attribute("donor_yield", entity="lot")
    model.attribute("donor_effect", entity="lot")
    program: list[s.Step] = [
        s.Label("recruit a donor"),
        s.Add("donors_screened", 1.0),
        s.Delay("donor lead time", donors.lead_time.distribution),
        s.Chance("donor passes screening", 1.0 - donors.screening_failure.x, otherwise="recruit a donor"),
    ]
    # A lognormal factor of mean one, so that the stated cells are those of the average donor.
    if lots.donor_yield_sd > 0:
        law = Normal(-0.5 * lots.donor_yield_sd**2, lots.donor_yield_sd)
        program.append(s.Set("donor_yield", law, name="donor yield"))
    if lots.donor_effect_sd > 0:
        program.append(s.Set("donor_effect", Normal(0.0, lots.donor_effect_sd), name="donor effect"))
    program += [
        s.Mark("donor collected"),
        s.Put("leukapheresis to bank", DONOR_MATERIAL, donors.lots_per_leukapheresis, donors.shelf_life.distribution),
        s.End("donor collected"),
    ]
    model.program("donor", program, entity="lot")
    model.stock(
        DONOR_MATERIAL,
        initial=[(donors.initial_material, donors.shelf_life.x)] if donors.initial_material else [],
        reorder_point=float(donors.reorder_point),
        order_up_to=float(donors.order_up_to),
        lot_program="donor",
        doses_per_lot=float(donors.lots_per_leukapheresis),
        review_until=window.arrivals_end,
    )
    return s.Take(DONOR_MATERIAL, 1, copy={"donor_yield": "donor_yield", "donor_effect": "donor_effect"})


def _cell_bank(model: FlowModel, bank: CellBank, window: Window) -> s.Take:
    program: list[s.Step] = [
        s.Take(MASTER_BANK, 1),
        s.Mark("working bank started"),
        s.Delay("working bank qualification", bank.qualification.distribution),
        s.Chance("working bank qualifies", 1.0 - bank.qualification_failure.x, otherwise=s.End("working bank failed")),
        s.Put("vials to working bank", WORKING_BANK, bank.working_vials, math.inf),
        s.End("working bank made"),
    ]
    model.program("working bank", program, entity="lot")
    model.stock(MASTER_BANK, initial=[(bank.master_vials, math.inf)] if bank.master_vials else [])
    model.stock(
        WORKING_BANK,
        initial=[(bank.initial_working_vials, math.inf)] if bank.initial_working_vials else [],
        reorder_point=float(bank.reorder_point),
        order_quantity=float(bank.working_vials),
        lot_program="working bank",
        doses_per_lot=float(bank.working_vials),
        review_until=window.arrivals_end,
    )
    return s.Take(WORKING_BANK, bank.vials_per_lot)
