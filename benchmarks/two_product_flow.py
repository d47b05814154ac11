"""The reference flow with two products, dose stocks with lots, and calendars, as a flow model, with its draws.

60 % of the referrals are for an autologous product (apheresis slot -> transport -> suite -> release test -> transport ->
bed, one remake), 40 % for an off-the-shelf one (a dose from the stock of the site, first expiry first out -> transport ->
bed). Lots for the stock (order up to a level) take the *same* suites and release lanes, fail, vary in yield, and expire
after 90 days. Suites and lanes start work on weekdays only; the suites of site 0 are out for 30 days. A clock Exp(mean
120 d) ends waiting, transport and service until infusion.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from engine_flow import HORIZON, LAWS

from cartsight.core.distributions import Exponential, LogNormal
from cartsight.core.streams import Stream
from cartsight.simulation import Arrivals, Calendar, CompiledModel, FlowModel, compile_model
from cartsight.simulation import steps as s

Float = npt.NDArray[np.float64]
SHARE_AUTOLOGOUS = 0.6
SUITES, LANES, BEDS = 15, 7, 3
OUTAGE = (400.0, 430.0)
INITIAL_DOSES, INITIAL_LIFE = 30, 60.0
REORDER, UP_TO, DOSES_PER_LOT, SHELF_LIFE = 25, 60, 18.0, 90.0
LOT_RELEASED = 0.9
LOT_LAWS = {
    "potency": LogNormal(0.0, 0.2),
    "lot yield": LogNormal(math.log(DOSES_PER_LOT), 0.15),
    "culture": LogNormal(math.log(12.0), 0.1),
    "lot release": LogNormal(math.log(4.0), 0.2),
}
MOST_LOTS = 2_000


def counts(patients: int) -> tuple[int, int]:
    """Return the numbers of hospitals and sites."""
    return max(1, patients // 200), max(1, patients // 2000)


def flow(patients: int, *features: str) -> CompiledModel:
    """Return the compiled model for a programme of `patients` patients, with more of what a plant floor has.

    Features: "set-up" (a day between products in the suites, campaigns of three), "counters" (learning by number made
    at each site), "depots" (doses of the next site when those of the own are short), "breakdowns" (batches lost),
    "recall" (bad lots withdrawn).
    """
    hospitals, sites = counts(patients)
    week = ((0.0, 5.0),)
    m = FlowModel("two products")
    m.attribute("hospital")
    m.attribute("potency")
    m.attribute("potency", entity="lot")
    m.attribute("yield", entity="lot")
    for h in range(hospitals):
        m.resource(f"apheresis {h}", 1)
        m.resource(f"bed {h}", BEDS)
    for i in range(sites):
        m.resource(f"suite {i}", SUITES, calendar=Calendar(week, outages=(OUTAGE,) if i == 0 else ()))
        m.resource(f"lane {i}", LANES, calendar=Calendar(week))
        if "set-up" in features:
            m.setup(f"suite {i}", attribute="product", products=2, changeover=[[0.0, 1.0], [1.0, 0.0]], campaign=3)
        if "breakdowns" in features:
            m.breakdown(f"suite {i}", running_days=Exponential(200.0), repair_days=Exponential(5.0))
    if "set-up" in features:
        m.attribute("product")
        m.attribute("product", 1.0, entity="lot")
    learning: dict[str, float] = {}
    count: list[s.Step] = []
    if "counters" in features:
        m.attribute("log_number")
        m.counter("made", values=hospitals)
        learning = {"log_number": -0.05}
        count = [s.Count("made", "log_number", by="hospital", function="log")]
    if "depots" in features:
        order = [[(h + k) % sites for k in range(sites)] for h in range(hospitals)]
        m.depots("depots", [f"doses {i}" for i in range(sites)], attribute="hospital", matrix=order)
    lost = "breakdowns" in features
    nearest = [[h % sites] for h in range(hospitals)]
    m.group("apheresis", [f"apheresis {h}" for h in range(hospitals)], rule="by_attribute", attribute="hospital")
    m.group("bed", [f"bed {h}" for h in range(hospitals)], rule="by_attribute", attribute="hospital")
    m.group("suite", [f"suite {i}" for i in range(sites)], rule="by_attribute", attribute="hospital", matrix=nearest)
    m.group("lane", [f"lane {i}" for i in range(sites)], rule="by_attribute", attribute="hospital", matrix=nearest)
    m.clock("death or progression", s.End("dead"), hazard_per_day=1 / 120)

    def to_bed(product: str) -> list[s.Step]:
        return [
            s.Delay(f"to hospital{product}", LAWS["to hospital"]),
            s.Seize("bed"),
            s.Disarm("death or progression"),
            s.Mark("infusion"),
            s.Delay(f"admission{product}", LAWS["admission"]),
            s.Free("bed"),
            s.End("infused"),
        ]

    m.program(
        "autologous",
        [
            s.Seize("apheresis"),
            s.Delay("apheresis", LAWS["apheresis"]),
            s.Free("apheresis"),
            s.Delay("to suite", LAWS["to suite"]),
            s.Label("manufacture"),
            s.Seize("suite", breakdown="failed" if lost else None),
            *count,
            s.Delay("manufacture", LAWS["manufacture"], log_effects=learning),
            s.Free("suite"),
            s.Chance("manufactured", 0.93, otherwise="failed"),
            s.Seize("lane"),
            s.Delay("release test", LAWS["release test"]),
            s.Free("lane"),
            s.Chance("within specification", 0.95, otherwise="failed"),
            *to_bed(""),
            s.Label("failed"),
            s.Retry("remake", 1, "manufacture", s.End("lost")),
        ],
    )
    for i in range(sites):
        m.stock(
            f"doses {i}",
            initial=[(INITIAL_DOSES, INITIAL_LIFE)],
            reorder_point=REORDER,
            order_up_to=UP_TO,
            lot_program=f"lot {i}",
            doses_per_lot=DOSES_PER_LOT,
        )
        stock = "depots" if "depots" in features else f"doses {i}"
        m.program(f"off the shelf {i}", [s.Take(stock, copy={"potency": "potency"}), *to_bed(f", shelf {i}")])
        recall: list[s.Step] = []
        if "recall" in features:
            recall = [
                s.Delay(f"until a complaint {i}", Exponential(60.0)),
                s.Chance(f"bad lot {i}", 0.05, otherwise=s.End("released")),
                s.Withdraw(f"doses {i}"),
            ]
        m.program(
            f"lot {i}",
            [
                s.Set("potency", LOT_LAWS["potency"], name=f"potency {i}"),
                s.Set("yield", LOT_LAWS["lot yield"], name=f"lot yield {i}"),
                s.Seize(f"suite {i}", breakdown=s.End("rejected") if lost else None),
                s.Delay(f"culture {i}", LOT_LAWS["culture"]),
                s.Free(f"suite {i}"),
                s.Seize(f"lane {i}"),
                s.Delay(f"lot release {i}", LOT_LAWS["lot release"]),
                s.Free(f"lane {i}"),
                s.Chance(f"lot released {i}", LOT_RELEASED, otherwise=s.End("rejected")),
                s.Put(f"to stock {i}", f"doses {i}", doses="yield", shelf_life=SHELF_LIFE),
                *recall,
                s.End("released"),
            ],
            entity="lot",
        )
    return compile_model(m)


def arrivals(patients: int, seed: int) -> Arrivals:
    """Return `patients` referrals at uniform days, each for one of the products at one hospital."""
    g = np.random.default_rng(seed)
    hospitals, sites = counts(patients)
    days = np.sort(g.uniform(0.0, HORIZON, patients))
    hospital = g.integers(0, hospitals, patients)
    autologous = g.uniform(size=patients) < SHARE_AUTOLOGOUS
    shelf = np.array([f"off the shelf {i}" for i in range(sites)])[hospital % sites]
    program = np.where(autologous, "autologous", shelf)
    return Arrivals(days, attributes={"hospital": hospital.astype(np.float64)}, program=program)


def draws(patients: int, seed: int) -> dict[str, Float]:
    """Return the draws of every patient and lot as the kernel makes them.

    Shape (patients,) once, (2, patients) for what a remake repeats, (sites, lots) for lots.
    """
    stream = Stream(seed, "patient", np.arange(patients, dtype=np.uint64))
    site = np.asarray(arrivals(patients, seed).attributes["hospital"]).astype(int) % counts(patients)[1]
    autologous = np.asarray(arrivals(patients, seed).program) == "autologous"
    found: dict[str, Float] = {}
    for name, law in LAWS.items():
        if name in ("manufacture", "release test"):
            found[name] = np.array([law.quantile(stream(name, k)) for k in range(2)])
        else:
            found[name] = law.quantile(stream(name))
    for name in ("to hospital", "admission"):
        for i in range(counts(patients)[1]):
            own = ~autologous & (site == i)
            found[name][own] = LAWS[name].quantile(stream(f"{name}, shelf {i}"))[own]
    for name in ("manufactured", "within specification"):
        found[name] = np.array([stream(name, k) for k in range(2)])
    found["clock"] = -120.0 * np.log1p(-stream("death or progression"))
    lots = [Stream(seed, f"lot/doses {i}", np.arange(MOST_LOTS, dtype=np.uint64)) for i in range(counts(patients)[1])]
    for name, law in LOT_LAWS.items():
        found[name] = np.array([law.quantile(lot(f"{name} {i}")) for i, lot in enumerate(lots)])
    found["lot released"] = np.array([lot(f"lot released {i}") for i, lot in enumerate(lots)])
    return found
