"""Small flows whose every time can be worked out by hand."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cartsight.core.distributions import Exponential, LogNormal, Uniform
from cartsight.core.errors import InputError
from cartsight.core.streams import Stream
from cartsight.simulation import (
    Arrivals,
    Calendar,
    FlowModel,
    FlowResult,
    Goto,
    SetState,
    SimulationError,
    compile_model,
    poisson_arrivals,
    simulate,
    simulate_reference,
)
from cartsight.simulation import steps as s


def both(m: FlowModel, arrivals: Arrivals, **options: object) -> FlowResult:
    tables = compile_model(m)
    fast = simulate(tables, arrivals, seed=1, **options)  # type: ignore[arg-type]
    slow = simulate_reference(tables, arrivals, seed=1, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(fast.patients.end_time, slow.patients.end_time)
    return fast


def one_server(service: float, calendar: Calendar | None = None, capacity: int = 1) -> FlowModel:
    m = FlowModel("one server")
    m.resource("r", capacity, calendar=calendar)
    m.program("patient", [s.Seize("r"), s.Mark("start"), s.Delay("service", service), s.Free(), s.End("done")])
    return m


def test_first_in_first_out_and_ties_by_id() -> None:
    arrivals = Arrivals(np.array([0.0, 0.0, 0.0]), identity=np.array([7, 3, 5], dtype=np.uint64))
    result = both(one_server(2.0), arrivals)
    assert result.patients.mark("start").tolist() == [4.0, 0.0, 2.0]
    assert result.resource("r").queue == 6.0


def test_closed_days_drain_and_reopen() -> None:
    """Open days 0 to 5 of 7; work begun on day 4 ends on day 6; the next starts on day 7."""
    result = both(one_server(2.0, Calendar(((0.0, 5.0),))), Arrivals(np.array([4.0, 4.5])))
    assert result.patients.mark("start").tolist() == [4.0, 7.0]
    use = result.resource("r")
    assert (use.busy, use.capacity, use.drain) == (4.0, 7.0, 1.0)


def test_outage_and_expansion() -> None:
    calendar = Calendar(outages=((1.0, 10.0),), changes=((20.0, 3),))
    result = both(one_server(5.0, calendar), Arrivals(np.array([0.5, 2.0, 3.0, 4.0, 5.0])))
    assert result.patients.mark("start").tolist() == [0.5, 10.0, 15.0, 20.0, 20.0]


def test_window_statistics() -> None:
    result = both(one_server(4.0), Arrivals(np.array([0.0, 1.0])), window=(2.0, 6.0))
    use = result.resource("r", window=True)
    assert (use.busy, use.queue, use.seizes, use.capacity) == (4.0, 2.0, 1.0, 4.0)


def test_gate_waits_for_its_window() -> None:
    m = FlowModel("gate")
    m.gate("clinic", Calendar.weekdays(1, 3, opens=0.25, closes=0.75, first_day=0))
    m.program("patient", [s.Gate("clinic"), s.End("seen")])
    days = np.array([0.0, 1.5, 1.75, 4.0, 8.3])
    assert both(m, Arrivals(days)).patients.end_time.tolist() == [1.25, 1.5, 3.25, 8.25, 8.3]


def test_two_resources_at_once_are_taken_together() -> None:
    m = FlowModel("both")
    m.resource("a", 1)
    m.resource("b", 1)
    m.attribute("kind")
    m.program(
        "patient",
        [
            s.Test("kind", "==", 0.0, "two"),
            s.Seize("b"),
            s.Delay("one", 3.0),
            s.Free(),
            s.End("one"),
            s.Label("two"),
            s.Seize(("a", "b")),
            s.Mark("both"),
            s.Delay("two", 1.0),
            s.Free("a"),
            s.Delay("rest", 1.0),
            s.Free("b"),
            s.End("two"),
        ],
    )
    result = both(m, Arrivals(np.array([0.0, 1.0]), attributes={"kind": np.array([0.0, 1.0])}))
    assert result.patients.end_time.tolist() == [3.0, 5.0]
    assert (result.resource("a").busy, result.resource("b").busy) == (1.0, 5.0)


def test_a_clock_frees_what_is_held_before_the_leaver_goes_on() -> None:
    m = FlowModel("expiry")
    m.resource("r", 1)
    m.clock("expiry", Goto("again"), law=2.0)
    m.program(
        "patient",
        [
            s.Arm("expiry"),
            s.Label("again"),
            s.Seize("r"),
            s.Mark("start", keep="both"),
            s.Delay("service", 5.0),
            s.Free(),
            s.End("done"),
        ],
    )
    result = both(m, Arrivals(np.array([0.0, 1.0])))
    # The first loses its server at day 2 and asks again behind the second, whose deadline at day 3 does the same.
    assert result.patients.mark("start", "first").tolist() == [0.0, 2.0]
    assert result.patients.mark("start", "last").tolist() == [3.0, 8.0]
    assert result.patients.end_time.tolist() == [8.0, 13.0]


def test_change_of_state_rescales_the_remaining_hazard_without_a_new_draw() -> None:
    m = FlowModel("states")
    m.health_states("fit", "ill")
    m.clock("death", s.End("died"), hazard_per_day={"fit": 0.01, "ill": [(0.0, 0.02), (30.0, 0.08)]})
    m.program("patient", [s.Delay("fit time", 10.0), s.State("ill"), s.Delay("ill time", 1e6), s.End("alive")])
    n = 2_000
    result = both(m, Arrivals(np.zeros(n)))
    budget = -np.log1p(-Stream(1, "patient", np.arange(n, dtype=np.uint64))("death"))
    exact = np.where(
        budget < 0.1,
        budget / 0.01,
        np.where(budget < 0.1 + 0.4, 10 + (budget - 0.1) / 0.02, 30 + (budget - 0.5) / 0.08),
    )
    np.testing.assert_allclose(result.patients.end_time, exact, rtol=1e-12, atol=1e-9)


def test_state_clocks_fire_in_the_middle_of_a_step() -> None:
    m = FlowModel("progression")
    m.health_states("stable", "progressed")
    m.clock("progression", SetState("progressed"), hazard_per_day={"stable": 0.05})
    m.program("patient", [s.Delay("step", 20.0), s.InState("stable", s.End("progressed")), s.End("stable")])
    n = 100_000
    result = simulate(compile_model(m), Arrivals(np.zeros(n)), seed=2)
    assert (result.patients.end_time == 20.0).all()
    p = math.exp(-1.0)
    assert abs(result.patients.ended("stable").mean() - p) < 4 * math.sqrt(p * (1 - p) / n)


def stock_model(**stock: object) -> FlowModel:
    m = FlowModel("stock")
    m.attribute("lot")
    m.attribute("effect")
    m.attribute("potency", 9.0, entity="lot")
    m.stock("doses", **stock)  # type: ignore[arg-type]
    m.program(
        "patient", [s.Take("doses", copy={"potency": "effect"}, lot_into="lot"), s.Mark("taken"), s.End("treated")]
    )
    m.program(
        "lot",
        [
            s.Set("potency", 2.0),
            s.Delay("culture", 10.0),
            s.Put("stocked", "doses", 3.0, 30.0),
            s.End("stocked"),
        ],
        entity="lot",
    )
    return m


def test_first_expiry_first_out_and_waste() -> None:
    m = stock_model(initial=[(1, 50.0), (2, 5.0), (1, 20.0)])
    result = both(m, Arrivals(np.array([1.0, 6.0, 30.0])))
    assert result.patients.attribute("lot").tolist() == [1.0, 2.0, 0.0]
    assert result.patients.attribute("effect").tolist() == [9.0, 9.0, 9.0]
    use = result.stock("doses")
    assert (use.taken, use.expired, use.stock_out, result.on_hand["doses"]) == (3.0, 1.0, 0.0, 0)


def test_reorder_lead_time_and_waiting() -> None:
    """(s, S) = (0, 3): one lot of three starts at the start, and again when three have been taken."""
    m = stock_model(reorder_point=0, order_up_to=3, lot_program="lot", doses_per_lot=3)
    result = both(m, Arrivals(np.array([1.0, 2.0, 3.0, 4.0])))
    # Patients who wait lower the position: the third and the fourth both wait, but the first lot covers three.
    assert result.patients.mark("taken").tolist() == [10.0, 10.0, 10.0, 13.0]
    assert result.patients.attribute("lot").tolist() == [0.0, 0.0, 0.0, 1.0]
    assert result.lots.start[:2].tolist() == [0.0, 3.0]
    use = result.stock("doses")
    assert (use.waited, use.waiting) == (4.0, 9.0 + 8.0 + 7.0 + 9.0)
    assert use.received == use.taken + use.expired + result.on_hand["doses"]


def test_reviews_stop_when_no_patients_remain() -> None:
    m = stock_model(reorder_point=5, order_quantity=3, lot_program="lot", doses_per_lot=3)
    result = both(m, Arrivals(np.array([40.0])))
    assert result.end < 60.0
    assert set(result.lots.count()) == {"stocked"}
    assert len(both(m, Arrivals(np.empty(0))).lots) == 0


def test_patience_ends_the_wait_for_a_stock() -> None:
    m = stock_model(initial=[(1, 100.0)])
    m.clock("patience", s.End("left"), law=4.0, armed=True)
    result = both(m, Arrivals(np.array([0.0, 1.0])))
    assert result.patients.count() == {"treated": 1, "left": 1}
    assert result.patients.end_time.tolist() == [0.0, 5.0]
    assert result.stock("doses").waiting == 4.0


def test_children_are_joined() -> None:
    m = FlowModel("visits")
    m.resource("nurse", 1)
    m.program("patient", [s.Spawn("one", "visit"), s.Spawn("two", "visit"), s.Join(), s.End("seen")])
    m.program("visit", [s.Seize("nurse"), s.Delay("visit", 2.0), s.Free(), s.End("visited")], entity="lot")
    result = both(m, Arrivals(np.array([0.0, 1.0])))
    assert result.patients.end_time.tolist() == [4.0, 8.0]
    assert result.lots.parent.tolist() == [0, 0, 1, 1]


def reneging_line(capacity: int) -> FlowModel:
    m = one_server(1.0, capacity=capacity)
    m.clock("death", s.End("died"), hazard_per_day=0.05)
    return m


def test_threads_do_not_matter() -> None:
    tables = compile_model(reneging_line(3))
    arrivals = [Arrivals(poisson_arrivals("p", 2.9, 400.0, seed=seed)) for seed in range(8)]

    def run(seed: int) -> bytes:
        result = simulate(tables, arrivals[seed], seed=seed)
        return result.patients.end_time.tobytes() + result.resource_statistics.tobytes()

    alone = [run(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(8))) == alone


def test_one_signature() -> None:
    from cartsight.simulation.kernel import interpret

    simulate(compile_model(reneging_line(1)), Arrivals(np.array([0.0])), seed=1)
    simulate(compile_model(stock_model(initial=[(1, math.inf)])), Arrivals(np.array([0.0])), seed=1)
    assert len(interpret.signatures) == 1


def test_one_more_server_never_lowers_the_number_started() -> None:
    """FIFO without reneging, the same arrivals and services: exact on every path."""
    for seed in range(5):
        arrivals = Arrivals(poisson_arrivals("p", 2.0, 300.0, seed=seed))
        starts = []
        for capacity in (2, 3, 4):
            m = FlowModel("g")
            m.resource("r", capacity)
            m.program(
                "p", [s.Seize("r"), s.Mark("start"), s.Delay("service", LogNormal(0.0, 0.8)), s.Free(), s.End("done")]
            )
            starts.append(np.sort(simulate(compile_model(m), arrivals, seed=seed).patients.mark("start")))
        assert (starts[1] <= starts[0]).all() and (starts[2] <= starts[1]).all()


def test_a_higher_hazard_never_saves_a_patient_when_capacity_is_unlimited() -> None:
    ended = []
    for hazard in (0.01, 0.02, 0.05):
        m = FlowModel("path")
        m.clock("death", s.End("died"), hazard_per_day=hazard)
        m.program("p", [s.Delay("path", LogNormal(3.0, 0.5)), s.End("infused")])
        ended.append(simulate(compile_model(m), Arrivals(np.zeros(5_000)), seed=9).patients.ended("infused"))
    assert (ended[0] >= ended[1]).all() and (ended[1] >= ended[2]).all()


def test_adding_an_unused_site_changes_nothing() -> None:
    def run(sites: int) -> np.ndarray:
        m = FlowModel("sites")
        m.attribute("site")
        for i in range(sites):
            m.resource(f"r{i}", 1)
        m.group("r", [f"r{i}" for i in range(sites)], rule="by_attribute", attribute="site")
        m.program("p", [s.Seize("r"), s.Delay("service", Exponential(1.0)), s.Free(), s.End("done")])
        days = poisson_arrivals("p", 1.5, 200.0, seed=1)
        site = (np.arange(days.size) % 2).astype(float)
        return simulate(compile_model(m), Arrivals(days, attributes={"site": site}), seed=1).patients.end_time

    np.testing.assert_array_equal(run(2), run(3))


def test_poisson_arrivals_move_with_the_rate() -> None:
    slow = poisson_arrivals("north", 1.0, 1_000.0, seed=4)
    fast = poisson_arrivals("north", 2.0, 1_000.0, seed=4)
    np.testing.assert_allclose(fast[: slow.size], slow / 2.0)
    ramp = poisson_arrivals("north", [(0.0, 0.0), (500.0, 4.0)], 1_000.0, seed=4)
    assert ramp.min() > 500.0
    assert abs(ramp.size - 2_000) < 4 * math.sqrt(2_000)


def test_without_compilation_the_same_code_gives_the_same_result() -> None:
    program = (
        "import numpy as np\n"
        "from cartsight.core.distributions import Gamma, LogNormal\n"
        "from cartsight.simulation import *\n"
        "from cartsight.simulation import steps as s\n"
        "m = FlowModel('m'); m.resource('r', 1); m.clock('death', s.End('died'), hazard_per_day=0.1)\n"
        "m.program('p', [s.Seize('r'), s.Delay('a', LogNormal(0., 1.)), s.Free(), s.Delay('b', Gamma(2., 1.)), s.End('e')])\n"
        "r = simulate(compile_model(m), Arrivals(np.arange(40.) / 2), seed=2**63 + 5)\n"
        "print(r.patients.end_time.tobytes().hex())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={**os.environ, "NUMBA_DISABLE_JIT": flag},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for flag in ("0", "1")
    }
    assert len(outputs) == 1


def test_a_queue_that_never_empties_is_stopped() -> None:
    m = FlowModel("loop")
    m.program("p", [s.Label("again"), s.Delay("wait", 0.0), s.Chance("leave", 1e-9, "again"), s.End("out")])
    tables = compile_model(m)
    for run in (simulate, simulate_reference):
        with pytest.raises(SimulationError, match="stopped after 5,000 steps"):
            run(tables, Arrivals(np.zeros(1)), seed=1, max_events=5_000)


def test_waiting_for_what_never_comes_is_an_error() -> None:
    tables = compile_model(stock_model())
    for run in (simulate, simulate_reference):
        with pytest.raises(SimulationError, match="never comes"):
            run(tables, Arrivals(np.zeros(1)), seed=1)


@pytest.mark.parametrize(
    ("arrivals", "message"),
    [
        (Arrivals(np.array([0.0, np.nan])), "finite"),
        (Arrivals(np.array([-1.0])), "day 0"),
        (Arrivals(np.zeros(2), identity=np.zeros(1, dtype=np.uint64)), "as many"),
        (Arrivals(np.zeros(2), attributes={"siet": np.zeros(2)}), "unknown attribute"),
        (Arrivals(np.zeros(2), attributes={"site": np.array([0.0, 5.0])}), "not the number of a candidate"),
        (Arrivals(np.zeros(2), program="nobody"), "unknown program"),
        (Arrivals(np.zeros(2), state=["alive", "undead"]), "unknown health state"),
    ],
)
def test_bad_arrivals(arrivals: Arrivals, message: str) -> None:
    m = FlowModel("sites")
    m.attribute("site")
    m.resource("a", 1)
    m.resource("b", 1)
    m.group("r", ["a", "b"], rule="by_attribute", attribute="site")
    m.program("p", [s.Seize("r"), s.Delay("service", Uniform(1.0, 2.0)), s.Free(), s.End("done")])
    with pytest.raises(InputError, match=message):
        simulate(compile_model(m), arrivals, seed=1)
