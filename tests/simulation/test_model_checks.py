"""What a model is refused for, with the step named, and what it is warned of."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from cartsight.core.distributions import Exponential, Normal
from cartsight.core.errors import InputError
from cartsight.simulation import (
    Calendar,
    FlowModel,
    Goto,
    OverloadWarning,
    compile_model,
    mermaid,
    offered_load,
    outline,
)
from cartsight.simulation import steps as s


def model(*steps: s.Step) -> FlowModel:
    m = FlowModel("m")
    m.attribute("x")
    m.resource("suite", 2)
    m.resource("bed", 1)
    m.program("patient", steps)
    return m


CASES: dict[str, tuple[list[s.Step], str]] = {
    "kept": ([s.Seize("suite"), s.Delay("work", 1.0), s.End("done")], "still holds servers.*suite"),
    "kept on one branch": (
        [s.Seize("suite"), s.Chance("good", 0.9, s.End("bad")), s.Free("suite"), s.End("done")],
        "still holds servers",
    ),
    "freed unheld": ([s.Free("bed"), s.End("done")], "frees what is not held.*bed"),
    "seized twice": ([s.Seize("bed"), s.Seize("bed"), s.Free(), s.End("done")], "seizes what is held already"),
    "unequal": (
        [s.Chance("good", 0.5, "skip"), s.Seize("bed"), s.Label("skip"), s.Delay("work", 1.0), s.Free(), s.End("done")],
        "with and without holding",
    ),
    "unreached": ([s.Jump(s.End("done")), s.Delay("never", 1.0), s.End("done")], "no path reaches this step.*never"),
    "endless": ([s.Label("a"), s.Delay("work", 1.0), s.Jump("a")], "no path from this step reaches an End"),
    "endless by chance": (
        [s.Label("a"), s.Delay("work", 1.0), s.Chance("never", 0.0, "a"), s.End("done")],
        "no path from this step reaches an End",
    ),
    "open end": ([s.Delay("work", 1.0)], "last step of a program"),
    "one name twice": ([s.Delay("work", 1.0), s.Delay("work", 2.0), s.End("done")], "two steps draw under one name"),
    "negative law": ([s.Delay("work", Normal(5.0, 1.0)), s.End("done")], "cannot be negative"),
    "negative number": ([s.Delay("work", -1.0), s.End("done")], "cannot be negative"),
    "not a number": ([s.Delay("work", math.nan), s.End("done")], "cannot be negative"),
    "probability": ([s.Chance("good", 1.2, s.End("bad")), s.End("done")], "between 0 and 1.*1.2"),
    "shares": ([s.Switch("which", {s.End("a"): 0.5, s.End("b"): 0.6})], "must sum to one"),
    "label": ([s.Jump("nowhere"), s.Label("somewhere"), s.End("done")], "unknown label.*somewhere"),
    "resource": ([s.Seize("suit"), s.Free(), s.End("done")], "unknown resource or group.*Did you mean 'suite'"),
    "attribute": ([s.Set("y", 1.0), s.End("done")], "unknown patient attribute"),
    "nameless draw": ([s.Set("x", Exponential(1.0)), s.End("done")], "needs a name"),
    "comparison": ([s.Test("x", "=", 1.0, s.End("no")), s.End("done")], "unknown comparison"),
    "stock": ([s.Take("doses"), s.End("done")], "unknown stock"),
    "effect": ([s.Delay("work", 1.0, {"x": math.inf}), s.End("done")], "effect must be finite"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_program_is_refused_with_its_step(case: str) -> None:
    steps, message = CASES[case]
    with pytest.raises(InputError, match=message):
        compile_model(model(*steps))


DECLARATIONS: dict[str, tuple[Callable[[FlowModel], None], str]] = {
    "capacity": (lambda m: m.resource("r", 0), "above zero"),
    "fraction": (lambda m: m.resource("r", 1.5), "whole number"),  # type: ignore[arg-type]
    "twice": (lambda m: m.resource("bed", 1), "this name exists"),
    "hazard": (lambda m: m.clock("c", s.End("e"), hazard_per_day=-0.1), "zero or more"),
    "both": (lambda m: m.clock("c", s.End("e"), hazard_per_day=0.1, law=1.0), "either"),
    "goto": (lambda m: m.clock("c", Goto("nowhere"), law=1.0), "label that a clock goes to"),
    "rule": (lambda m: m.group("g", ["bed"], rule="nearby"), "unknown rule"),
    "matrix": (lambda m: m.group("g", ["bed"], rule="by_attribute", attribute="x", matrix=[[3]]), "candidate number"),
    "gate": (lambda m: m.gate("g", Calendar(((3.0, 2.0),))), "windows must be in order"),
    "stock": (
        lambda m: m.stock("d", reorder_point=2, order_up_to=1, lot_program="patient"),
        "exceed the reorder point",
    ),
    "lots": (lambda m: m.stock("d", reorder_point=2, order_up_to=9, lot_program="patient"), "entity='lot'"),
}


@pytest.mark.parametrize("case", DECLARATIONS)
def test_a_bad_declaration_is_refused(case: str) -> None:
    declare, message = DECLARATIONS[case]
    m = model(s.End("done"))
    with pytest.raises(InputError, match=message):
        declare(m)
        compile_model(m)


def line(days: float = 1.5) -> FlowModel:
    return model(
        s.Label("again"),
        s.Seize("suite"),
        s.Delay("run", Exponential(days)),
        s.Free("suite"),
        s.Chance("good", 0.8, "failed"),
        s.End("done"),
        s.Label("failed"),
        s.Retry("remake", 2, "again", s.End("lost")),
    )


def test_offered_load_counts_remakes_up_to_the_limit() -> None:
    load = offered_load(compile_model(line()), 0.5)[0]
    assert load.name == "suite"
    assert load.offered == pytest.approx(0.5 * 1.5 * (1 + 0.2 + 0.04), rel=1e-12)
    assert load.ratio == pytest.approx(load.offered / 2)


def test_a_queue_that_never_empties_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"suite.*never empties"):
        compile_model(line(), arrivals_per_day=1.2)


def test_overload_with_reneging_warns_and_names_the_resource() -> None:
    m = line()
    m.clock("death", s.End("died"), hazard_per_day=0.01)
    with pytest.warns(OverloadWarning, match="suite"):
        compiled = compile_model(m, arrivals_per_day=1.2)
    assert "suite" in compiled.warnings[0]


def test_the_graph_can_be_drawn() -> None:
    compiled = compile_model(line())
    drawing = mermaid(compiled)
    assert drawing.startswith("flowchart TD")
    assert '{"good"}' in drawing and "|0.8|" in drawing and "|up to 2|" in drawing
    assert "seize suite" in outline(compiled)


def test_unchecked_compilation_makes_the_same_tables() -> None:
    for a, b in zip(compile_model(line()).tables, compile_model(line(), check=False).tables, strict=True):
        assert a.tobytes() == b.tobytes()
