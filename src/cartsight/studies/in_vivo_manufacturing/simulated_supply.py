"""A chain at one level of demand in the event simulation: waits, stock-outs and expired doses that capacity alone does not show.

Bulk on lines of its own, tests, a filling line (its own or shared with vaccine or other vector), vials to stock, and a reorder
rule; lots fail whole. Numbers are the point values of plants.toml.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cartsight.core.units import DAYS_PER_YEAR
from cartsight.economics.pricing import bridging_start_day
from cartsight.scenario import Scenario
from cartsight.scenario.arms import InVivoArm
from cartsight.scenario.lots import LotProcess
from cartsight.simulation.pathways import run_flow
from cartsight.simulation.pathways.trajectory import DOSE_TAKEN, Trajectories
from cartsight.studies.answers import Figure, Progress
from cartsight.studies.in_vivo_manufacturing.arms import PLATFORMS, Platform
from cartsight.studies.in_vivo_manufacturing.chain import Chain, make_chain
from cartsight.studies.in_vivo_manufacturing.plants import PlantDraws

LEVELS: tuple[int, ...] = (1_000, 10_000)
REPLICATIONS = 6
YEARS = 1.5
LOT_CV = 0.2
BUSIEST = 0.8
FILLING_HOURS = 16.0
CAMPAIGN_DAYS = 30.0
SPARE = 1.25
SETTLED_DAYS = 1461
"""Until stock of one age, with which a run starts, no longer shows at small demand."""

ASSUMPTIONS = (
    f"Simulated chain: lots differ by a coefficient of variation of {LOT_CV:.0%} (MFG129: 20 % of a titre), lines are planned {BUSIEST:.0%} "
    f"busy, a lot is started when stock and work in progress fall to {SPARE} times the demand of a lead time and one lot, and the other "
    f"use of a shared filling line comes in campaigns of {CAMPAIGN_DAYS:.0f} days.",
)


@dataclass(frozen=True, slots=True)
class SimulatedSupply:
    """A chain simulated with whole lots, failures, shelf life and a reorder rule.

    Parameters
    ----------
    platform : str
    filling : str
        "own" or "shared".
    patients_per_year : int
        Infused, about.
    lines, filling_lines : int
    lot_doses : float
    lots_per_year : float
    without_stock, wait_days, expired : (mean, low, high)
        Share of the time without stock, mean wait of a patient for a dose, share of the doses leaving stock that expired; the interval
        is over replications.
    """

    platform: str
    filling: str
    patients_per_year: int
    lines: int
    filling_lines: int
    lot_doses: float
    lots_per_year: float
    without_stock: tuple[float, float, float]
    wait_days: tuple[float, float, float]
    expired: tuple[float, float, float]

    def figures(self) -> list[Figure]:
        """Return the simulated figures."""
        where = f"{self.platform}, {self.patients_per_year:,} patients a year, {self.filling} filling line, simulated"
        spread = f"range of {REPLICATIONS} replications (chance of lots and patients alone)"
        return [
            Figure(f"time without stock, {where}", *self.without_stock, "share", spread),
            Figure(f"mean wait for a dose, {where}", *self.wait_days, "days", spread),
            Figure(f"doses leaving stock that expired, {where}", *self.expired, "share", spread),
        ]


def in_words(runs: tuple[SimulatedSupply, ...]) -> str:
    """Return the simulated chains in words, one sentence per platform."""
    found = []
    for platform in dict.fromkeys(run.platform for run in runs):
        parts = []
        for level in dict.fromkeys(run.patients_per_year for run in runs):
            mine = [r for r in runs if r.platform == platform and r.patients_per_year == level]
            own = next(r for r in mine if r.filling == "own")
            shared = next(r for r in mine if r.filling == "shared")
            parts.append(
                f"at {level:,} patients a year ({own.lots_per_year:.1f} lots of {own.lot_doses:,.0f} doses) a patient waits {own.wait_days[0]:.1f} "
                f"days for a dose ({shared.wait_days[0]:.1f} with a shared filling line), stock is out {own.without_stock[0]:.0%} of the time "
                f"and {own.expired[0]:.0%} of doses expire"
            )
        found.append(f"{platform}, " + "; ".join(parts))
    return "With whole lots, failures, shelf life and reordering in the event simulation: " + ". ".join(found) + "."


def _number(value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {"value": value, "unit": unit, "assumed": "plants.toml of study 1C", "certain": "point value", **more}


def chain_lots(platform: Platform, arm: InVivoArm, at: PlantDraws, patients: float, *, shared: bool) -> LotProcess:
    """Return the two stages of a chain as the lots of an arm, sized for so many patients a year."""
    chain = make_chain(platform.key, at)
    values = {path.removeprefix(f"{platform.key}."): float(x[0]) for path, x in at.items()}
    lot, success = float(chain.lot_doses[0]), float(chain.lot_success[0])
    per_day = float(chain.doses_needed(patients)[0]) / DAYS_PER_YEAR
    lots_per_year = float(chain.lots_per_year(patients)[0])
    run = DAYS_PER_YEAR / values["formulation_batches_per_year" if platform.key == "mrna" else "batches_per_year"]
    filling_days = lot / values["vials_per_day"]
    held = (values["changeover_days"] + filling_days) * lots_per_year / DAYS_PER_YEAR
    lead = run + values["changeover_days"] + filling_days + values["testing_days"]
    loss = math.sqrt(success)
    other_use = 1.0 - values["existing.filling_share"]
    busy = BUSIEST * (1.0 - other_use if shared else 1.0)
    reorder = max(round(SPARE * per_day * lead + lot * success), 1)
    if platform.key == "mrna":
        grams = values["formulation_grams_per_batch"]
        bulk = {
            "kind": "mrna",
            "mass_per_batch": _number(1000.0 * grams, "milligrams", law="lognormal", cv=LOT_CV),
            "encapsulation": _number(values["formulation_yield"], "probability"),
            "recovery": _number(1.0, "probability"),
        }
        amount = _number(values["dose"], "milligrams")
    else:
        bulk = {
            "kind": "viral",
            "volume": _number(values["reactor_litres"], "litres"),
            "titre": _number(values["titre"], "transducing_units_per_millilitre", law="lognormal", cv=LOT_CV),
            "recovery": _number(values["recovery"] * values["polishing_yield"], "probability"),
        }
        amount = _number(values["dose"], "transducing_units")
    line = {
        "lines": max(math.ceil(held / busy), 1),
        "vials_per_hour": _number(values["vials_per_day"] / FILLING_HOURS, "count/hour"),
        "hours_per_day": FILLING_HOURS,
        "changeover": _number(values["changeover_days"], "days"),
        "failure": _number(0.0, "probability"),
    }
    if shared:
        line["shared"] = {
            "other_use_fraction": _number(min(other_use, 0.95), "probability"),
            "campaign": _number(CAMPAIGN_DAYS, "days"),
        }
    return LotProcess.model_validate(
        {
            "lines": max(math.ceil(lots_per_year * run / DAYS_PER_YEAR / BUSIEST), 1),
            "manufacturing": _number(run, "days", law="lognormal", cv=0.1),
            "release_testing": _number(values["testing_days"], "days", law="lognormal", cv=0.15),
            "failure": _number(1.0 - loss, "probability"),
            "rejection": _number(1.0 - loss, "probability"),
            "shelf_life": arm.lots.shelf_life,
            "reorder_point": reorder,
            "order_up_to": reorder + max(round(lot), 1),
            "initial_stock": reorder,
            "lot_effect_sd": arm.lots.lot_effect_sd,
            "drug_substance": bulk,
            "fill": {"amount_per_dose": amount, "loss": _number(0.0, "probability")},
            "fill_line": line,
        }
    )


def _sized(
    platform: Platform, scenario: Scenario, at: PlantDraws, patients: float, infused_share: float, *, shared: bool
) -> Scenario:
    """Return the scenario with the chain in the in vivo arm and referrals that give so many infused a year; beds do not bind."""
    arm = scenario.arms[platform.in_vivo]
    assert isinstance(arm, InVivoArm)
    lots = chain_lots(platform, arm, at, patients, shared=shared)
    changed = scenario.model_copy(
        update={"arms": {**scenario.arms, platform.in_vivo: arm.model_copy(update={"lots": lots})}}
    )
    beds = changed.care_pathway.infusion_bed.model_copy(update={"beds_per_hospital": 1_000_000})
    changed = changed.model_copy(
        update={"care_pathway": changed.care_pathway.model_copy(update={"infusion_bed": beds})}
    )
    referrals = {
        f"population.regions.{name}.referrals_per_year": region.referrals_per_year.x
        for name, region in scenario.population.regions.items()
    }
    now = sum(referrals.values()) * DAYS_PER_YEAR
    factor = patients / infused_share / now
    return changed.with_values({path: rate * factor for path, rate in referrals.items()}).with_analysis(
        patients=max(round(YEARS * patients / infused_share), 50),
        warm_up_days=SETTLED_DAYS if patients <= 1_000 else 365,
    )


def dose_waits(trajectories: Trajectories, scenario: Scenario) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return days from the order to the first dose, one per patient who got one."""
    patient, day = trajectories.events(DOSE_TAKEN)
    first = np.full(len(trajectories), np.inf)
    np.minimum.at(first, patient, day)
    got = np.isfinite(first)
    return np.asarray((first - bridging_start_day(trajectories, scenario))[got])


def simulated_supplies(at: PlantDraws, seed: int, progress: Progress) -> tuple[SimulatedSupply, ...]:
    """Return both chains at each level, with a filling line of their own and with a shared one."""
    cases = [(p, level, shared) for p in PLATFORMS for level in LEVELS for shared in (False, True)]
    found = []
    for done, (platform, level, shared) in enumerate(cases):
        found.append(_simulated(platform, at, level, seed, shared=shared))
        progress("simulated chains", done + 1, len(cases))
    return tuple(found)


def _simulated(platform: Platform, at: PlantDraws, level: int, seed: int, *, shared: bool) -> SimulatedSupply:
    base = platform.scenario()
    small = run_flow(base, platform.in_vivo, seed)
    scenario = _sized(platform, base, at, level, float(small.trajectories.infused.mean()), shared=shared)
    arm = scenario.arms[platform.in_vivo]
    assert isinstance(arm, InVivoArm) and arm.lots.fill_line is not None
    short, wait, expired, started = [], [], [], []
    for replication in range(REPLICATIONS):
        flow = run_flow(scenario, platform.in_vivo, seed + replication)
        assert flow.plant is not None
        short.append(flow.plant.stock_out_fraction)
        wait.append(float(dose_waits(flow.trajectories, scenario).mean()))
        expired.append(flow.plant.doses_expired / max(flow.plant.doses_expired + flow.plant.doses_taken, 1.0))
        started.append(flow.plant.started / flow.plant.years)
    chain: Chain = make_chain(platform.key, at)

    def spread(values: list[float]) -> tuple[float, float, float]:
        return float(np.mean(values)), min(values), max(values)

    return SimulatedSupply(
        platform.title,
        "shared" if shared else "own",
        level,
        arm.lots.lines,
        arm.lots.fill_line.lines,
        float(chain.lot_doses[0]),
        float(np.mean(started)),
        spread(short),
        spread(wait),
        spread(expired),
    )
