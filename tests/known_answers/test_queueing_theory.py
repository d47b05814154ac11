"""Queues with exact answers, run through the public table interface.

Every estimate is the mean of independent replications from fixed seeds, and fails beyond four standard errors: a
fixed seed never flickers, and a wrong engine is off by many standard errors. Formulas: Gross, Shortle, Thompson &
Harris, Fundamentals of Queueing Theory, 4th ed., doi:10.1002/9781118625651; Erlang-A: Garnett, Mandelbaum & Reiman
2002, doi:10.1287/msom.4.3.208.7753; priorities: Cobham 1954, doi:10.1287/opre.2.1.70; Little 1961,
doi:10.1287/opre.9.3.383.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from cartsight.core.distributions import Constant, Distribution, Exponential, Gamma, LogNormal, Uniform
from cartsight.simulation import Arrivals, FlowModel, FlowResult, compile_model, poisson_arrivals, simulate
from cartsight.simulation import steps as s

Float = npt.NDArray[np.float64]


def lognormal(mean: float, cv: float) -> LogNormal:
    variance = math.log1p(cv * cv)
    return LogNormal(math.log(mean) - variance / 2, math.sqrt(variance))


def replicate(
    run: Callable[[int], Sequence[float]], replications: int = 12
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean and its standard error of every output over replications."""
    rows = np.array([run(seed) for seed in range(1, replications + 1)])
    return rows.mean(axis=0), rows.std(axis=0, ddof=1) / math.sqrt(replications)


def agrees(estimate: Float, error: Float, exact: Sequence[float]) -> None:
    z = (estimate - np.array(exact)) / error
    assert (np.abs(z) < 4.0).all(), f"estimate {estimate}, exact {exact}, {z} standard errors"
    # A check that cannot fail shows nothing: the standard error must be a few per cent at most.
    assert (error < 0.06 * np.abs(exact)).all()


def queue(service: Distribution, servers: int = 1) -> FlowModel:
    m = FlowModel("queue")
    m.resource("server", servers)
    m.program(
        "customer",
        [
            s.Seize("server"),
            s.Mark("served"),
            s.Delay("service", service),
            s.Free("server"),
            s.End("done"),
        ],
    )
    return m


def waits(m: FlowModel, rate: float, customers: int, seed: int, skip: float = 0.2) -> tuple[Float, Float, FlowResult]:
    """Return the waits and times in system of the customers after the first fifth."""
    arrivals = Arrivals(poisson_arrivals("customers", rate, customers / rate, seed=seed))
    result = simulate(compile_model(m), arrivals, seed=seed)
    keep = slice(int(len(result.patients) * skip), None)
    waited = result.patients.mark("served") - result.patients.start
    spent = result.patients.end_time - result.patients.start
    return waited[keep], spent[keep], result


def erlang_c(servers: int, load: float) -> float:
    blocking = 1.0
    for k in range(1, servers + 1):
        blocking = load * blocking / (k + load * blocking)
    return blocking / (1 - load / servers * (1 - blocking))


@pytest.mark.parametrize(
    ("servers", "rate", "delayed", "wait"), [(2, 1.5, 0.6428571429, 1.2857142857), (5, 4.0, 0.5541125541, 0.5541125541)]
)
def test_erlang_c(servers: int, rate: float, delayed: float, wait: float) -> None:
    assert erlang_c(servers, rate) == pytest.approx(delayed, abs=1e-10)
    tail = delayed * math.exp(-(servers - rate))

    def run(seed: int) -> list[float]:
        w, _, _ = waits(queue(Exponential(1.0), servers), rate, 25_000, seed)
        return [(w > 0).mean(), w.mean(), (w > 1.0).mean()]

    agrees(*replicate(run), [delayed, wait, tail])


def test_mm1_wait_and_time_in_system() -> None:
    def run(seed: int) -> list[float]:
        w, spent, _ = waits(queue(Exponential(1.0)), 0.8, 40_000, seed)
        return [w.mean(), spent.mean(), (spent > 5.0).mean()]

    agrees(*replicate(run), [4.0, 5.0, math.exp(-1.0)])


@pytest.mark.parametrize(("service", "wait"), [(Constant(1.0), 2.0), (lognormal(1.0, 0.5), 2.5)])
def test_pollaczek_khinchine(service: Distribution, wait: float) -> None:
    agrees(*replicate(lambda seed: [waits(queue(service), 0.8, 30_000, seed)[0].mean()]), [wait])


def test_lee_longton_band() -> None:
    """(1 + cv^2)/2 times the wait of M/M/c is an approximation: the band is 10 %."""
    mean, error = replicate(lambda seed: [waits(queue(lognormal(1.0, 0.5), 5), 4.0, 25_000, seed)[0].mean()])
    assert abs(mean[0] / 0.3463 - 1) < 0.10 + 4 * error[0] / 0.3463


def test_kingman_bound() -> None:
    """Inter-arrival gamma with cv^2 0.5, service gamma with cv^2 0.25, load 0.9."""
    gaps, service = Gamma(2.0, 0.5 / 0.9), Gamma(4.0, 0.25)
    variances = gaps.variance + service.variance
    bound = 0.9 * variances / (2 * (1 - 0.9))
    tables = compile_model(queue(service))

    def run(seed: int) -> list[float]:
        u = np.random.default_rng(seed).uniform(size=40_000)
        result = simulate(tables, Arrivals(np.cumsum(gaps.quantile(u))), seed=seed)
        return [float((result.patients.mark("served") - result.patients.start)[8_000:].mean())]

    mean, error = replicate(run, 10)
    assert bound == pytest.approx(3.902777778, abs=1e-9)
    assert mean[0] + 4 * error[0] < bound
    assert abs(mean[0] / 3.375 - 1) < 0.10, "the heavy-traffic approximation is close at load 0.9"


def erlang_a(rate: float, servers: int, theta: float) -> tuple[float, float, float]:
    """Return P(abandon), P(wait) and Lq of M/M/c+M with unit service rate, from the birth-death chain."""
    weights = [1.0]
    for k in range(1, 400):
        weights.append(weights[-1] * rate / (min(k, servers) + max(k - servers, 0) * theta))
    p = np.array(weights) / sum(weights)
    k = np.arange(p.size)
    waiting = float((p * np.maximum(k - servers, 0)).sum())
    return theta * waiting / rate, float(p[servers:].sum()), waiting


def test_erlang_a() -> None:
    exact = erlang_a(10.0, 10, 0.5)
    assert exact == pytest.approx((0.1039132123, 0.6196552309, 2.0782642465), abs=1e-9)
    m = FlowModel("impatient")
    m.resource("server", 10)
    m.clock("patience", s.End("abandoned"), law=Exponential(2.0))
    m.program(
        "customer",
        [
            s.Arm("patience"),
            s.Seize("server"),
            s.Disarm("patience"),
            s.Mark("served"),
            s.Delay("service", Exponential(1.0)),
            s.Free(),
            s.End("done"),
        ],
    )
    tables = compile_model(m)

    def run(seed: int) -> list[float]:
        horizon = 3_000.0
        arrivals = Arrivals(poisson_arrivals("customers", 10.0, horizon, seed=seed))
        result = simulate(tables, arrivals, seed=seed, window=(100.0, horizon))
        late = result.patients.start > 100.0
        waited = np.nan_to_num(result.patients.mark("served"), nan=np.inf) > result.patients.start
        queue_length = result.resource("server", window=True).queue / (horizon - 100.0)
        return [result.patients.ended("abandoned")[late].mean(), waited[late].mean(), queue_length]

    agrees(*replicate(run), exact)


def test_cobham_priorities() -> None:
    """Two classes at rates 0.3 and 0.5, unit exponential service, no pre-emption."""
    m = FlowModel("classes")
    m.attribute("class")
    m.resource("server", 1)
    m.program(
        "customer",
        [
            s.Seize("server", priority="class"),
            s.Mark("served"),
            s.Delay("service", Exponential(1.0)),
            s.Free(),
            s.End("done"),
        ],
    )
    tables = compile_model(m)

    def run(seed: int) -> list[float]:
        horizon = 50_000.0
        days = [poisson_arrivals(f"class {i}", rate, horizon, seed=seed) for i, rate in enumerate((0.3, 0.5))]
        kind = np.repeat([0.0, 1.0], [days[0].size, days[1].size])
        result = simulate(tables, Arrivals(np.concatenate(days), attributes={"class": kind}), seed=seed)
        wait = result.patients.mark("served") - result.patients.start
        late = result.patients.start > 5_000.0
        each = [wait[late & (kind == i)].mean() for i in (0.0, 1.0)]
        return [*each, 0.3 * each[0] + 0.5 * each[1]]

    # The conservation law: the load-weighted sum does not depend on who is served first.
    agrees(*replicate(run), [1.1428571429, 5.7142857143, 3.2])


def test_bernoulli_feedback() -> None:
    """Rework with probability 0.07 to the end of the same queue: Jackson, effective rate 0.7/0.93."""
    m = FlowModel("rework")
    m.resource("server", 1)
    m.program(
        "customer",
        [
            s.Label("again"),
            s.Seize("server"),
            s.Delay("service", Exponential(1.0)),
            s.Free(),
            s.Chance("good", 0.93, otherwise="again"),
            s.End("done"),
        ],
    )
    tables = compile_model(m)

    def run(seed: int) -> list[float]:
        horizon = 40_000.0
        arrivals = Arrivals(poisson_arrivals("customers", 0.7, horizon, seed=seed))
        result = simulate(tables, arrivals, seed=seed, window=(4_000.0, horizon))
        use = result.resource("server", window=True)
        spent = (result.patients.end_time - result.patients.start)[result.patients.start > 4_000.0]
        period = horizon - 4_000.0
        return [use.busy / period, (use.busy + use.queue) / period, spent.mean()]

    agrees(*replicate(run), [0.7526881720, 3.0434782609, 4.3478260870])


def test_infinite_servers_are_poisson_whatever_the_law() -> None:
    m = FlowModel("transport")
    m.program("parcel", [s.Delay("transport", lognormal(1.5, 0.8)), s.End("arrived")])
    tables = compile_model(m)

    def run(seed: int) -> list[float]:
        result = simulate(tables, Arrivals(poisson_arrivals("parcels", 10.0, 2_050.0, seed=seed)), seed=seed)
        # Days apart by more than any memory of the past, so that the counts are nearly independent.
        days = np.arange(50.0, 2_050.0, 8.0)
        counts = np.searchsorted(result.patients.start, days) - np.searchsorted(np.sort(result.patients.end_time), days)
        return [counts.mean(), counts.var(ddof=1)]

    agrees(*replicate(run), [15.0, 15.0])


@pytest.mark.parametrize(
    ("law", "exact"), [(lognormal(8.0, 0.2), 0.0644100791), (Uniform(1.0, 2.0), 0.0124193419), (Gamma(3.0, 4.0), None)]
)
def test_death_during_a_step(law: Distribution, exact: float | None) -> None:
    """P(death) = 1 - E[exp(-h X)] at h = 1/120; gamma: 1 - (1 + h b)^-k."""
    exact = 1 - (1 + 4.0 / 120) ** -3 if exact is None else exact
    m = FlowModel("wait")
    m.clock("death", s.End("died"), hazard_per_day=1 / 120)
    m.program("patient", [s.Delay("step", law), s.End("alive")])
    n = 400_000
    result = simulate(compile_model(m), Arrivals(np.arange(n) * 1e-3), seed=11)
    died = float(result.patients.ended("died").mean())
    assert abs(died - exact) < 4 * math.sqrt(exact * (1 - exact) / n)


def network() -> FlowModel:
    m = FlowModel("network")
    m.resource("first", 2)
    m.resource("second", 3)
    m.clock("death", s.End("died"), hazard_per_day=0.05)
    m.program(
        "patient",
        [
            s.Label("start"),
            s.Mark("asks first", log=True),
            s.Seize("first"),
            s.Mark("has first", log=True),
            s.Delay("step one", lognormal(1.0, 0.6)),
            s.Free(),
            s.Chance("passes", 0.9, otherwise="start"),
            s.Mark("asks second", log=True),
            s.Seize("second"),
            s.Delay("step two", Exponential(1.5)),
            s.Free(),
            s.End("done"),
        ],
    )
    return m


def test_little_per_node_and_overall_to_rounding() -> None:
    """When everyone leaves, the time average in a node equals the rate through it times the mean time in it."""
    result = simulate(compile_model(network()), Arrivals(poisson_arrivals("p", 1.5, 4_000.0, seed=3)), seed=3)
    patients, period = result.patients, result.end
    events = np.concatenate([patients.start, patients.end_time])
    order = np.argsort(events, kind="stable")
    change = np.repeat([1.0, -1.0], len(patients))[order]
    inside = np.cumsum(change)[:-1] @ np.diff(events[order]) / period
    assert inside == pytest.approx(len(patients) / period * (patients.end_time - patients.start).mean(), rel=1e-9)
    use = result.resource("first")
    waited = 0.0
    asked_by, asked = patients.log.of("asks first")
    served_by, served = patients.log.of("has first")
    for i in np.unique(asked_by):
        a, b = asked[asked_by == i], served[served_by == i]
        b = np.append(b, patients.end_time[i])[: a.size]  # one who dies while waiting leaves the queue then
        waited += float((b - a).sum())
    assert use.seizes == served.size
    assert use.queue == pytest.approx(waited, rel=1e-9)
    # Server-days of both nodes and waits add up to the time spent by all.
    second = result.resource("second")
    total = use.busy + use.queue + second.busy + second.queue
    assert total == pytest.approx(float((patients.end_time - patients.start).sum()), rel=1e-9)


def test_conservation_of_patients() -> None:
    result = simulate(compile_model(network()), Arrivals(poisson_arrivals("p", 1.5, 2_000.0, seed=4)), seed=4)
    assert sum(result.patients.count().values()) == len(result.patients)
    assert set(result.patients.count()) == {"done", "died"}
    assert np.isfinite(result.patients.end_time).all()
    for name, capacity in (("first", 2), ("second", 3)):
        use = result.resource(name)
        assert 0.0 <= use.busy <= capacity * result.end * (1 + 1e-12)
        assert use.capacity == pytest.approx(capacity * result.end, rel=1e-12)
