"""The reference flow of the engine benchmarks, as a flow model and as SimPy processes on the same draws.

Poisson referrals over 1 095 days to N/200 hospitals -> apheresis slot (1 per hospital, lognormal 3 d) -> transport
U(1, 2) -> suite (17 at each of N/2000 sites, lognormal 8 d, cv 0.2, 7 % failure, one remake) -> release test
(7 lanes per site, 3 d, 5 % out of specification, counts as a failure) -> transport -> bed (3 per hospital, 12 d). A
clock Exp(mean 120 d) from referral ends waiting, transport or service until infusion.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cartsight.core.distributions import LogNormal, Uniform
from cartsight.core.streams import Stream
from cartsight.simulation import Arrivals, CompiledModel, FlowModel, compile_model
from cartsight.simulation import steps as s

Float = npt.NDArray[np.float64]
HORIZON = 1095.0
ATTEMPTS = 2
CV = 0.2
SIGMA = math.sqrt(math.log1p(CV * CV))
LAWS = {
    "apheresis": LogNormal(math.log(3.0) - SIGMA**2 / 2, SIGMA),
    "to suite": Uniform(1.0, 2.0),
    "manufacture": LogNormal(math.log(8.0) - SIGMA**2 / 2, SIGMA),
    "release test": LogNormal(math.log(3.0) - SIGMA**2 / 2, SIGMA),
    "to hospital": Uniform(1.0, 2.0),
    "admission": LogNormal(math.log(12.0) - SIGMA**2 / 2, SIGMA),
}
LOGICAL_EVENTS = 6.6
"""Logical events per patient (arrivals, ends of steps, clocks), as counted for the published table."""


def flow(patients: int) -> CompiledModel:
    """Return the compiled model for a programme of `patients` patients."""
    hospitals, sites = max(1, patients // 200), max(1, patients // 2000)
    m = FlowModel("reference flow")
    m.attribute("hospital")
    for h in range(hospitals):
        m.resource(f"apheresis {h}", 1)
        m.resource(f"bed {h}", 3)
    for i in range(sites):
        m.resource(f"suite {i}", 17)
        m.resource(f"lane {i}", 7)
    nearest = [[h % sites] for h in range(hospitals)]
    m.group("apheresis", [f"apheresis {h}" for h in range(hospitals)], rule="by_attribute", attribute="hospital")
    m.group("bed", [f"bed {h}" for h in range(hospitals)], rule="by_attribute", attribute="hospital")
    m.group("suite", [f"suite {i}" for i in range(sites)], rule="by_attribute", attribute="hospital", matrix=nearest)
    m.group("lane", [f"lane {i}" for i in range(sites)], rule="by_attribute", attribute="hospital", matrix=nearest)
    m.clock("death or progression", s.End("dead"), hazard_per_day=1 / 120)
    m.program(
        "patient",
        [
            s.Seize("apheresis"),
            s.Delay("apheresis", LAWS["apheresis"]),
            s.Free("apheresis"),
            s.Delay("to suite", LAWS["to suite"]),
            s.Label("manufacture"),
            s.Seize("suite"),
            s.Delay("manufacture", LAWS["manufacture"]),
            s.Free("suite"),
            s.Chance("manufactured", 0.93, otherwise="failed"),
            s.Seize("lane"),
            s.Delay("release test", LAWS["release test"]),
            s.Free("lane"),
            s.Chance("within specification", 0.95, otherwise="failed"),
            s.Delay("to hospital", LAWS["to hospital"]),
            s.Seize("bed"),
            s.Disarm("death or progression"),
            s.Mark("infusion"),
            s.Delay("admission", LAWS["admission"]),
            s.Free("bed"),
            s.End("infused"),
            s.Label("failed"),
            s.Retry("remake", 1, "manufacture", s.End("lost")),
        ],
    )
    return compile_model(m)


def arrivals(patients: int, seed: int) -> Arrivals:
    """Return `patients` referrals at uniform days, which are Poisson arrivals given their number."""
    g = np.random.default_rng(seed)
    times = np.sort(g.uniform(0.0, HORIZON, patients))
    hospital = g.integers(0, max(1, patients // 200), patients).astype(np.float64)
    return Arrivals(times, attributes={"hospital": hospital})


def draws(patients: int, seed: int) -> dict[str, Float]:
    """Return the draws of every patient as the kernel makes them, shape (patients,) or (attempts, patients)."""
    stream = Stream(seed, "patient", np.arange(patients, dtype=np.uint64))
    once = {
        name: law.quantile(stream(name)) for name, law in LAWS.items() if name not in ("manufacture", "release test")
    }
    repeated = {
        name: np.array([LAWS[name].quantile(stream(name, k)) for k in range(ATTEMPTS)])
        for name in ("manufacture", "release test")
    }
    chances = {
        name: np.array([stream(name, k) for k in range(ATTEMPTS)]) for name in ("manufactured", "within specification")
    }
    return {**once, **repeated, **chances, "clock": -120.0 * np.log1p(-stream("death or progression"))}
