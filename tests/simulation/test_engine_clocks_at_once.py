"""Two clocks of one entity due at the same instant: the one declared first fires first, and the other still fires."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.simulation import (
    Arrivals,
    FlowModel,
    FlowResult,
    Goto,
    SetState,
    compile_model,
    simulate,
    simulate_reference,
)
from cartsight.simulation import steps as s
from cartsight.simulation.model import Action


def both(m: FlowModel, days: list[float]) -> FlowResult:
    compiled = compile_model(m)
    fast, slow = (run(compiled, Arrivals(np.array(days)), seed=1) for run in (simulate, simulate_reference))
    np.testing.assert_array_equal(fast.patients.end_time, slow.patients.end_time)
    np.testing.assert_array_equal(fast.patients.end_status, slow.patients.end_status)
    np.testing.assert_array_equal(fast.patients.mark_values, slow.patients.mark_values)
    return fast


def clocks(m: FlowModel, names: tuple[str, ...]) -> None:
    """Declare, in this order, clocks that are due 3 days after they were armed."""
    actions: dict[str, Action] = {"worsening": SetState("ill"), "left": s.End("left"), "died": s.End("died")}
    for name in names:
        m.clock(name, actions.get(name) or Goto(name), law=3.0)


@pytest.mark.parametrize(
    ("order", "end"), [(("worsening", "recall"), "ill at the recall"), (("recall", "worsening"), "fit at the recall")]
)
@pytest.mark.parametrize("armed", [("worsening", "recall"), ("recall", "worsening")])
def test_a_change_of_state_and_a_goto(order: tuple[str, ...], armed: tuple[str, ...], end: str) -> None:
    m = FlowModel("state and goto")
    m.health_states("fit", "ill")
    clocks(m, order)
    m.program(
        "patient",
        [
            *(s.Arm(name) for name in armed),
            s.Delay("step", 10.0),
            s.End("step done"),
            s.Label("recall"),
            s.InState("ill", otherwise=s.End("fit at the recall")),
            s.End("ill at the recall"),
        ],
    )
    result = both(m, [0.0, 1.0])
    assert result.patients.end_time.tolist() == [3.0, 4.0]
    assert result.patients.count() == {end: 2}


@pytest.mark.parametrize(("order", "end"), [(("left", "died"), "left"), (("died", "left"), "died")])
def test_two_ends_take_the_first_declared(order: tuple[str, ...], end: str) -> None:
    m = FlowModel("two ends")
    clocks(m, order)
    m.program("patient", [s.Arm("died"), s.Arm("left"), s.Delay("step", 3.5), s.End("step done")])
    assert both(m, [0.0]).patients.count() == {end: 1}


def test_the_end_of_the_step_comes_before_both() -> None:
    m = FlowModel("step first")
    clocks(m, ("died", "left"))
    m.program("patient", [s.Arm("died"), s.Arm("left"), s.Delay("step", 3.0), s.End("step done")])
    result = both(m, [0.0])
    assert (result.patients.count(), result.patients.end_time.tolist()) == ({"step done": 1}, [3.0])


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
def test_two_gotos_fire_one_after_the_other_and_free_what_each_holds(order: tuple[str, ...]) -> None:
    """The first clock leads to a server and half a day's step, which the second cancels in the same instant."""
    m = FlowModel("two gotos")
    for name in ("ward", "first bed", "second bed"):
        m.resource(name, 1)
    clocks(m, order)
    m.program(
        "patient",
        [
            s.Arm("first"),
            s.Arm("second"),
            s.Seize("ward"),
            s.Delay("stay", 10.0),
            s.Free(),
            s.End("stayed"),
            s.Label("first"),
            s.Mark("first"),
            s.Seize("first bed"),
            s.Delay("first stay", 0.5),
            s.Free(),
            s.End("first"),
            s.Label("second"),
            s.Mark("second"),
            s.Seize("second bed"),
            s.Delay("second stay", 0.5),
            s.Free(),
            s.End("second"),
        ],
    )
    # The one who waits has its clocks due at day 4, in the queue until day 3 and then on the ward.
    result = both(m, [0.0, 1.0])
    assert result.patients.mark("first").tolist() == result.patients.mark("second").tolist() == [3.0, 4.0]
    assert result.patients.count() == {order[1]: 2}
    assert result.patients.end_time.tolist() == [3.5, 4.5]
    assert result.resource("ward").busy == 3.0 + 1.0
    assert [result.resource(f"{name} bed").busy for name in order] == [0.0, 1.0]


def test_both_fire_while_their_entity_waits() -> None:
    m = FlowModel("in the queue")
    m.health_states("fit", "ill")
    m.resource("bed", 1)
    clocks(m, ("worsening", "left"))
    m.program(
        "patient",
        [
            s.Arm("worsening"),
            s.Arm("left"),
            s.Seize("bed"),
            s.Disarm("left"),
            s.Delay("stay", 4.0),
            s.Free(),
            s.InState("ill", otherwise=s.End("stayed fit")),
            s.End("stayed ill"),
        ],
    )
    # The second waits for the bed from day 0.5 and leaves at day 3.5, ill at the same instant; the third gets the bed.
    result = both(m, [0.0, 0.5, 1.5])
    assert result.patients.end_time.tolist() == [4.0, 3.5, 8.0]
    assert result.patients.count() == {"stayed ill": 2, "left": 1}
    assert result.resource("bed").queue == 3.0 + 2.5
