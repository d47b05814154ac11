"""Set-ups, campaigns, breakdowns and antithetic draws against closed forms.

Two equally likely products with equal changeovers c make the changeover of each customer a fair coin that is
independent of the others and of the arrivals (X_n != X_{n-1} for independent fair X is itself independent and fair),
so the queue in order of arrival is M/G/1 with service S + B c, and the Pollaczek-Khinchine mean is exact. Without
changeover times a campaign only reorders the work, so Kleinrock's conservation law holds: the load-weighted waits sum
to rho/(1 - rho) times the mean residual work. A run that a breakdown scraps and starts again takes
(1/f + E[R]) (exp(f d) - 1) days on average (preemptive repeat, exponential time to breakdown).
Formulas: Gross, Shortle, Thompson & Harris, Fundamentals of Queueing Theory, 4th ed., doi:10.1002/9781118625651.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from cartsight.core.distributions import Constant, Distribution, Exponential, LogNormal, Uniform
from cartsight.simulation import Arrivals, CompiledModel, FlowModel, compile_model, poisson_arrivals, simulate
from cartsight.simulation import steps as s

Float = npt.NDArray[np.float64]


def replicate(run: Callable[[int], Sequence[float]], replications: int = 12) -> tuple[Float, Float]:
    rows = np.array([run(seed) for seed in range(1, replications + 1)])
    return rows.mean(axis=0), rows.std(axis=0, ddof=1) / math.sqrt(replications)


def agrees(estimate: Float, error: Float, exact: Sequence[float]) -> None:
    """Fail beyond four standard errors; the standard errors must be small enough to fail at all."""
    z = (estimate - np.array(exact)) / error
    assert (np.abs(z) < 4.0).all(), f"estimate {estimate}, exact {exact}, {z} standard errors"
    assert (error < 0.06 * np.abs(exact)).all()


def two_products(
    changeover: Distribution | float, services: Sequence[Distribution], campaign: int = 1
) -> CompiledModel:
    m = FlowModel("two products")
    m.attribute("product")
    m.resource("line", 1)
    same = [[0.0, changeover], [changeover, 0.0]]
    m.setup("line", attribute="product", products=2, changeover=same, campaign=campaign)
    m.program(
        "p",
        [
            s.Seize("line"),
            s.Mark("start"),
            s.Test("product", "==", 0.0, "second"),
            s.Delay("run of the first", services[0]),
            s.Free(),
            s.End("made"),
            s.Label("second"),
            s.Delay("run of the second", services[1]),
            s.Free(),
            s.End("made"),
        ],
    )
    return compile_model(m)


def waits(model: CompiledModel, rate: float, customers: int, seed: int) -> tuple[Float, Float]:
    """Return the days to the start of the run (changeover included) and the products, after a first fifth."""
    days = poisson_arrivals("customers", rate, customers / rate, seed=seed)
    product = np.random.default_rng(seed).integers(0, 2, days.size).astype(float)
    result = simulate(model, Arrivals(days, attributes={"product": product}), seed=seed)
    keep = slice(days.size // 5, None)
    return (result.patients.mark("start") - days)[keep], product[keep]


@pytest.mark.parametrize("changeover", [Constant(0.5), Exponential(0.5)])
def test_pollaczek_khinchine_with_random_changeovers(changeover: Distribution) -> None:
    service, rate = Exponential(1.0), 0.6
    mean = service.mean + changeover.mean / 2
    second = service.variance + service.mean**2 + service.mean * changeover.mean
    second += (changeover.variance + changeover.mean**2) / 2
    exact = rate * second / (2 * (1 - rate * mean)) + changeover.mean / 2
    model = two_products(changeover, [service, service])
    agrees(*replicate(lambda seed: [waits(model, rate, 30_000, seed)[0].mean()]), [exact])


@pytest.mark.parametrize("campaign", [1, 3, 1_000])
def test_campaigns_without_changeover_time_conserve_work(campaign: int) -> None:
    services = [LogNormal(math.log(0.5), 0.4), Exponential(1.5)]
    rate = 0.7
    model = two_products(0.0, services, campaign)
    loads = [rate / 2 * law.mean for law in services]
    residual = sum(rate / 2 * (law.variance + law.mean**2) / 2 for law in services)
    exact = sum(loads) * residual / (1 - sum(loads))

    def run(seed: int) -> list[float]:
        waited, product = waits(model, rate, 30_000, seed)
        return [sum(load * waited[product == i].mean() for i, load in enumerate(loads))]

    agrees(*replicate(run), [exact])


def test_campaigns_save_changeovers_and_shorten_the_queue() -> None:
    """At high load longer campaigns must lower both, on the same draws."""
    means = [waits(two_products(1.0, [Exponential(1.0)] * 2, k), 0.62, 20_000, 3)[0].mean() for k in (1, 2, 5)]
    assert means[0] > means[1] > means[2]


def test_a_run_scrapped_by_breakdowns_takes_as_long_as_preemptive_repeat() -> None:
    hazard, run_days, repair = 0.2, 4.0, Uniform(1.0, 3.0)
    m = FlowModel("repeat")
    m.resource("line", 1)
    m.breakdown("line", running_days=Exponential(1 / hazard), repair_days=repair)
    m.program(
        "p",
        [
            s.Label("again"),
            s.Seize("line", breakdown="again"),
            s.Delay("run", run_days),
            s.Free(),
            s.End("made"),
        ],
    )
    model = compile_model(m)
    exact = (1 / hazard + repair.mean) * math.expm1(hazard * run_days)

    def run(seed: int) -> list[float]:
        result = simulate(model, Arrivals(np.arange(4_000) * 500.0), seed=seed)
        return [float((result.patients.end_time - result.patients.start).mean())]

    agrees(*replicate(run), [exact])


def test_antithetic_pairs_are_unbiased_and_negatively_correlated() -> None:
    """Mean wait in M/M/1 rises with every service time and falls with every gap."""
    m = FlowModel("M/M/1")
    m.resource("server", 1)
    m.program("p", [s.Seize("server"), s.Mark("start"), s.Delay("service", Exponential(1.0)), s.Free(), s.End("done")])
    model, rate = compile_model(m), 0.5

    def wait(seed: int, antithetic: bool) -> float:
        days = poisson_arrivals("customers", rate, 4_000 / rate, seed=seed, antithetic=antithetic)
        result = simulate(model, Arrivals(days), seed=seed, antithetic=antithetic)
        return float((result.patients.mark("start") - days)[200:].mean())

    pairs = np.array([[wait(seed, flag) for flag in (False, True)] for seed in range(1, 61)])
    correlation = np.corrcoef(pairs.T)[0, 1]
    # 60 pairs: a correlation of zero would exceed -0.33 in absolute value in one run in a hundred.
    assert correlation < -0.33
    means = pairs.mean(axis=1)
    assert abs(means.mean() - 1.0) < 4 * means.std(ddof=1) / math.sqrt(60)
    assert means.var(ddof=1) < 0.5 * pairs[:, 0].var(ddof=1)
