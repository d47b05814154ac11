"""Sections of a scenario that describe the floor of lot-made products, for tests. Round figures, no evidence."""

from __future__ import annotations

from typing import Any

from tests.scenario_builder import Raw, days, merged, minimal_scenario, number, probability, spread_days


def donors(**changes: Any) -> Raw:
    """Return a donor bank: four lots a donor."""
    raw = {
        "lots_per_leukapheresis": 4,
        "lead_time": spread_days(30),
        "screening_failure": probability(0.2),
        "shelf_life": days(720),
        "reorder_point": 2,
        "order_up_to": 6,
        "initial_material": 4,
        "yield_sd": number(0.2, "log_scale"),
        "effect_sd": number(0.3, "log_odds"),
    }
    return merged(raw, changes)


def cell_bank(**changes: Any) -> Raw:
    """Return an iPSC bank: ten master vials, working banks of six."""
    raw = {
        "master_vials": 10,
        "working_vials": 6,
        "initial_working_vials": 6,
        "reorder_point": 2,
        "qualification": days(60),
        "qualification_failure": probability(0.1),
        "doublings": number(25, "count"),
    }
    return merged(raw, changes)


def expansion(**changes: Any) -> Raw:
    """Return an expansion: 1e9 cells, seven doublings, two edits, depletion; 3.2e10 edited cells."""
    raw = {
        "starting_cells": number(1e9, "cells"),
        "doublings": number(7, "count"),
        "edits": {"TRAC knock-out": probability(0.8), "CAR": probability(0.5)},
        "depletion": {"recovery": probability(0.9), "carry_over": probability(0.02)},
        "recovery": probability(0.7),
        "yield_cv": number(0.25, "ratio"),
    }
    return merged(raw, changes)


def fill(**changes: Any) -> Raw:
    """Return a fill: 4e8 cells a dose, two vials a dose."""
    raw = {
        "amount_per_dose": number(4e8, "cells"),
        "vials_per_dose": 2,
        "overfill": number(0.1, "ratio"),
        "loss": probability(0.05),
        "release_samples": 10,
        "retains": 6,
        "minimum_doses": 20,
    }
    return merged(raw, changes)


def allogeneic_floor(**changes: Any) -> Raw:
    """Return the `lots` section of an allogeneic arm whose doses are computed."""
    raw = minimal_scenario()["arms"]["allogeneic"]["lots"]
    del raw["doses_per_lot"]
    raw |= {"donors": donors(), "expansion": expansion(), "fill": fill()}
    return merged(raw, changes)


def with_lots(lots: Raw, arm: str = "allogeneic", **arm_changes: Any) -> Raw:
    """Return the minimal scenario with another `lots` section of one arm."""
    raw = minimal_scenario()
    raw["arms"][arm]["lots"] = lots
    raw["arms"][arm] = merged(raw["arms"][arm], arm_changes)
    return raw
