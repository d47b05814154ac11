"""Random valid models that use every step, for comparing interpreters."""

from __future__ import annotations

import random

import numpy as np

from cartsight.core import distributions as d
from cartsight.simulation import Arrivals, Calendar, FlowModel, Goto, SetState
from cartsight.simulation import steps as s


class ModelMaker:
    """Builds one model from a seed, out of blocks that hold nothing at their ends."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.number = 0
        self.m = FlowModel(f"random {seed}")

    def name(self, kind: str) -> str:
        self.number += 1
        return f"{kind} {self.number}"

    def law(self, scale: float = 2.0) -> d.Distribution:
        laws = [
            d.Constant(float(self.r.choice([0.0, 0.5, 1.0]))),
            d.Exponential(scale),
            d.Uniform(0.2, scale),
            d.Triangular(0.1, 0.5, scale),
            d.LogNormal(0.2, 0.5),
            d.Weibull(1.5, scale),
            d.Gamma(2.0, scale / 2),
            d.Beta(2.0, 3.0, 0.0, scale),
            d.PERT(0.5, 1.0, 3.0),
            d.QuantileTable((0.0, 0.3, 1.0), (0.0, 1.0, scale)),
        ]
        return self.r.choice(laws)

    def calendar(self) -> Calendar | None:
        kind = self.r.randrange(4)
        if kind == 0:
            return None
        outages = ((5.0, 9.0), (20.0, 24.0, 1)) if kind > 1 else ()
        changes = ((12.0, 3),) if self.r.random() < 0.5 else ()
        windows = ((0.0, 5.0),) if kind != 2 else ()
        return Calendar(windows, outages, changes, first_day=float(self.r.randrange(7)))

    def make(self) -> tuple[FlowModel, Arrivals]:
        m, r = self.m, self.r
        for attribute in ("x", "y", "site"):
            m.attribute(attribute, 0.5)
        m.attribute("quality", 1.0, entity="lot")
        m.attribute("depot", entity="lot")
        m.attribute("site", entity="lot")
        m.health_states("fit", "ill", "frail")
        for i in range(3):
            m.resource(f"r{i}", r.randint(1, 3), calendar=self.calendar())
        m.resource("suite", 2)
        m.resource("line", r.randint(1, 4), calendar=self.calendar())
        m.resource("fragile", r.randint(1, 3), calendar=self.calendar())
        m.resource("closed run", 2)
        m.setup(
            "line",
            attribute="site",
            products=2,
            changeover=[[r.choice([0.0, 0.25]), self.law(1.0)], [self.law(1.0), 0.0]],
            campaign=r.choice([1, 2, 3]),
            first=r.choice([None, [0.5, 0.0]]),
            initial=r.choice([None, 0]),
        )
        m.breakdown("fragile", running_days=d.Weibull(1.5, 4.0), repair_days=self.law(3.0))
        m.setup("closed run", attribute="site", products=2, changeover=[[0.0, 1.0], [0.5, 0.0]], campaign=2)
        m.breakdown("closed run", running_days=d.Exponential(5.0), repair_days=d.Uniform(0.5, 2.0))
        m.group("any line", ["closed run", "line"], rule="first_free")
        m.counter("made", values=2, start=1.0)
        m.counter("all made")
        m.group("by site", ["r0", "r1"], rule="by_attribute", attribute="site")
        m.group("mapped", ["r1", "r2"], rule="by_attribute", attribute="site", matrix=[[1], [0]])
        m.group("shortest", ["r0", "r1", "r2"], rule="shortest_queue")
        m.group("first", ["r2", "r0"], rule="first_free")
        m.group("near", ["r0", "r1", "r2"], rule="nearest", attribute="site", matrix=[[0, 1, 2], [2, 1, 0]], overflow=2)
        m.gate("clinic", Calendar.weekdays(1, 3, opens=0.25, closes=0.75))
        m.clock("illness", SetState("ill"), hazard_per_day={"fit": 0.05, "ill": 0.02}, log_effects={"x": 0.3})
        m.clock("frailty", SetState("frail"), hazard_per_day={"ill": [(0.0, 0.03), (10.0, 0.1)]})
        m.clock("death", s.End("died"), hazard_per_day={"fit": [(0.0, 0.005), (15.0, 0.02)], "ill": 0.03, "frail": 0.2})
        m.clock("patience", Goto("gave up"), law=d.Gamma(2.0, 8.0), log_effects={"y": 0.2})
        rule = {"order_up_to": 12.0} if r.random() < 0.5 else {"order_quantity": 6.0}
        m.stock("doses", initial=[(4, 30.0), (2, 5.0)], reorder_point=3.0, lot_program="lot", doses_per_lot=5, **rule)
        m.stock("north", initial=[(2, 9.0)], **(rule | {"reorder_point": 1.0}), lot_program="lot", doses_per_lot=4)
        m.stock("south", initial=[(1, 40.0), (3, 12.0)])
        matrix = r.choice([None, [[0, 1], [1, 0]], [[1], [0]]])
        m.depots("depots", ["north", "doses"], attribute="site", matrix=matrix)
        m.depots("lots to", ["doses", "north"], attribute="depot")
        body: list[s.Step] = [s.Mark("in", keep="both")]
        for _ in range(r.randint(3, 8)):
            body += self.block(2)
        m.program(
            "patient",
            [
                s.Arm("patience"),
                *body,
                s.Disarm("patience"),
                s.Delay("last", self.law()),
                s.End("done"),
                s.Label("gave up"),
                s.Mark("gave up"),
                s.Delay("leaving", 0.5),
                s.End("left"),
            ],
        )
        m.program(
            "visit",
            [s.Seize("first"), s.Delay("visit", self.law()), s.Free(), s.Mark("seen"), s.End("seen")],
            entity="lot",
        )
        m.program(
            "lot",
            [
                s.Set("quality", d.LogNormal(0.0, 0.3), name="lot quality"),
                s.Count("all made", "depot", step=r.choice([0.0, 1.0])),
                s.Set("depot", "depot", 0.4, function="floor"),
                s.Test("depot", "<=", 1.0, "elsewhere"),
                s.Jump("site known"),
                s.Label("elsewhere"),
                s.Set("depot", 1.0),
                s.Label("site known"),
                s.Seize("suite"),
                s.Delay("culture", d.LogNormal(1.0, 0.3), log_effects={"quality": 0.1}),
                s.Free("suite"),
                s.Seize(("any line"), breakdown=s.End("lot lost")),
                s.Delay("fill", 0.5),
                s.Free(),
                s.Mark("made", log=True),
                s.Chance("released", 0.8, otherwise=s.End("failed")),
                s.Put("stocked", r.choice(["doses", "lots to"]), d.Uniform(2.0, 7.0), d.Uniform(3.0, 20.0)),
                s.Delay("until the complaint", d.Exponential(3.0)),
                s.Chance("good", 0.7, otherwise="recall"),
                s.End("stocked"),
                s.Label("recall"),
                s.Withdraw("doses", into="quality"),
                s.Withdraw("north"),
                s.End("stocked"),
            ],
            entity="lot",
        )
        n = r.randint(0, 25)
        g = np.random.default_rng(self.r.randrange(2**32))
        times = np.sort(g.uniform(0, 20, n))
        if r.random() < 0.3:
            times = np.floor(times)  # ties
        attributes = {"x": g.normal(size=n), "y": g.normal(size=n), "site": g.integers(0, 2, n).astype(float)}
        state = [r.choice(["fit", "ill"]) for _ in range(n)]
        return m, Arrivals(times, identity=g.permutation(n).astype(np.uint64), attributes=attributes, state=state)

    def seize(self, groups: str | tuple[str, ...]) -> s.Seize:
        return s.Seize(groups, priority=self.r.choice([None, 0, 1, "y"]), into=self.r.choice([None, None, "x"]))

    def block(self, depth: int) -> list[s.Step]:
        r = self.r
        kind = r.randrange(19 if depth else 16)
        name = self.name
        match kind:
            case 0:
                return [s.Delay(name("delay"), self.law(), log_effects={"x": 0.1} if r.random() < 0.5 else {})]
            case 1:
                return [s.Chance(name("chance"), 0.9, s.End("refused"), {"y": 0.5} if r.random() < 0.5 else {})]
            case 2:
                group = r.choice(["r0", "by site", "mapped", "shortest", "first", "near"])
                return [
                    self.seize(group),
                    s.Mark(name("served"), log=True),
                    s.Delay(name("service"), self.law()),
                    s.Free(group),
                ]
            case 3:
                return [
                    self.seize(("r0", "r2")),
                    s.Delay(name("both"), self.law()),
                    s.Free("r2"),
                    s.Delay(name("one"), self.law()),
                    s.Free(),
                ]
            case 4:
                return [self.seize("suite"), self.seize(("r0", "r1")), s.Delay(name("nested"), self.law()), s.Free()]
            case 5:
                return [
                    s.Take(
                        "doses",
                        r.choice([1, 1, 2]),
                        {"quality": "x"},
                        "y" if r.random() < 0.3 else None,
                        r.choice([None, 0, 2]),
                    )
                ]
            case 6:
                return [s.Gate("clinic")]
            case 7:
                return [
                    s.Set("x", self.law(), 0.5, {"y": 0.1}, name=name("set")),
                    s.Add("y", r.choice([0.1, "x"]), -0.5),
                ]
            case 8:
                return [s.State(r.choice(["fit", "ill"])), s.Priority(r.choice([0, 1]))]
            case 9:
                return [s.Spawn(name("child"), "visit", {"x": "quality"}), s.Spawn(name("child"), "visit"), s.Join()]
            case 10:
                skip = name("skip")
                test = r.choice([s.Test("x", "<", "y", skip), s.Test("y", ">=", 0.2, skip), s.InState("ill", skip)])
                return [test, s.Delay(name("tested"), self.law()), s.Label(skip)]
            case 11:
                return [s.Disarm("patience"), s.Arm("patience"), s.Mark("in", keep="both")]
            case 12:
                return [
                    s.Seize("line", priority=r.choice([None, 0, 1]), name=name("changeover")),
                    s.Mark(name("on line"), log=True),
                    s.Delay(name("run"), self.law()),
                    s.Free(),
                ]
            case 13:
                lost, on = name("batch lost"), name("on")
                return [
                    s.Seize(("fragile", "r1"), breakdown=lost),
                    s.Delay(name("fragile run"), self.law()),
                    s.Seize("closed run", name=name("closed changeover"), breakdown=lost),
                    s.Delay(name("closed run"), self.law()),
                    s.Free(),
                    s.Jump(on),
                    s.Label(lost),
                    s.Mark(name("lost"), log=True),
                    s.Retry(name("again after loss"), 2, on, s.End("lost too often")),
                    s.Label(on),
                ]
            case 14:
                return [
                    s.Count("made", "x", by="site", function="log"),
                    s.Delay(name("learned"), self.law(), log_effects={"x": -0.3}),
                    s.Now("y", times=0.01, function=r.choice(["identity", "floor"])),
                    s.Set("x", r.choice([-0.2, 0.3]), 0.5, function=r.choice(["exp", "reciprocal"])),
                    s.Count("all made", r.choice([None, "y"])),
                ]
            case 15:
                return [s.Take("depots", r.choice([1, 2]), {"quality": "y"}, into=r.choice([None, "x"]))]
            case 16:
                label, out = name("again"), name("out")
                return [
                    s.Label(label),
                    *self.block(depth - 1),
                    *self.block(depth - 1),
                    s.Chance(name("fails"), 0.6, out),
                    s.Jump(name_end := name("end")),
                    s.Label(out),
                    s.Retry(name("retry"), r.randint(0, 2), label, s.End("failed too often")),
                    s.Label(name_end),
                ]
            case 17:
                a, b, c = name("a"), name("b"), name("c")
                return [
                    s.Switch(name("switch"), {a: 0.3, b: 0.6, s.End("switched off"): 0.1}),
                    s.Label(a),
                    *self.block(depth - 1),
                    s.Jump(c),
                    s.Label(b),
                    *self.block(depth - 1),
                    s.Label(c),
                ]
            case _:
                label = name("rework")
                return [
                    s.Label(label),
                    self.seize("shortest"),
                    s.Delay(name("rework"), self.law(1.0)),
                    s.Free(),
                    s.Chance(name("accepted"), 0.7, label),
                ]
