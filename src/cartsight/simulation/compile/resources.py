"""Tables of resources: groups, servers that remember or break down, calendars and gates."""

from __future__ import annotations

from collections.abc import Sequence

from cartsight.core.distributions import Distribution
from cartsight.core.errors import nearest
from cartsight.simulation import tables as t
from cartsight.simulation.compile.rows import Rows
from cartsight.simulation.model import RULES, FlowModel, Group


class Resources(Rows):
    """Builds the tables of groups and servers."""

    def build_groups(self) -> tuple[list[list[int]], list[int], list[int]]:
        rows: list[list[int]] = []
        candidates: list[int] = []
        route: list[int] = []
        for name, number in self.resources.items():
            rows.append([t.FIXED, 0, len(candidates), 1, 0, 0, 0])
            candidates.append(number)
            del name
        for name, group in self.model.groups.items():
            self.step = f"group {name}"
            rows.append(self.group(group, candidates, route))
        return rows, candidates, route

    def group(self, group: Group, candidates: list[int], route: list[int]) -> list[int]:
        if group.rule not in RULES:
            self.fail("unknown rule", group.rule, ", ".join(RULES), nearest(group.rule, RULES))
        if not group.candidates:
            self.fail("a group needs candidates")
        row = [RULES.index(group.rule), 0, len(candidates), len(group.candidates), len(route), 0, group.overflow]
        candidates.extend(self.find(self.resources, name, "resource") for name in group.candidates)
        if group.rule in ("by_attribute", "nearest"):
            if group.attribute is None:
                self.fail("this rule needs an attribute", group.rule)
            row[1] = self.attribute(group.attribute, "patient" if group.attribute in self.model.attributes else "lot")
        width = 1 if group.rule == "by_attribute" else len(group.candidates)
        if group.rule == "nearest" and group.matrix is None:
            self.fail("rule 'nearest' needs a matrix: for each origin, the candidates from near to far")
        for line in group.matrix or ():
            if len(line) != width or not all(0 <= i < len(group.candidates) for i in line):
                self.fail(f"each row of the matrix needs {width} candidate number(s)", line)
            route.extend(line)
            row[5] += 1
        return row

    def build_servers(self, most: Sequence[int]) -> tuple[list[list[int]], list[int], list[float], list[int]]:
        """Return (server_rule, setup_law, setup_mean, initial_product) of resources with at `most` so many servers."""
        rows: list[list[int]] = []
        laws: list[int] = []
        means: list[float] = []
        initial: list[int] = []
        model = self.model
        for name in [*model.setups, *model.breakdowns]:
            self.step = f"{'setup' if name in model.setups else 'breakdown'} {name}"
            self.find(self.resources, name, "resource")
        for name, number in self.resources.items():
            row = [len(initial), 0, 0, len(laws), 0, -1, -1, -1, -1]
            setup, breakdown = model.setups.get(name), model.breakdowns.get(name)
            self.step = f"setup {name}"
            if setup is not None:
                row[t.PRODUCTS], row[t.CAMPAIGN] = setup.products, setup.campaign
                row[t.PRODUCT_OF_PATIENT], row[t.PRODUCT_OF_LOT] = self.columns(setup.attribute)
                for law in (law for line in (setup.first, *setup.changeover) for law in line):
                    means.append(law.mean if isinstance(law, Distribution) else float(law))
                    laws.append(-1 if law == 0.0 else self.laws.add(law, self.step))
            if setup is not None or breakdown is not None:
                row[t.UNITS] = most[number]
                made = setup.initial if setup is not None else (-1,)
                if len(made) not in (1, most[number]):
                    self.fail("the initial products are one for all servers, or one for each", len(made))
                initial += list(made) * (most[number] if len(made) == 1 else 1)
            self.step = f"breakdown {name}"
            if breakdown is not None:
                row[t.BREAKDOWN] = self.laws.add(breakdown.running_days, self.step)
                row[t.REPAIR_LAW] = self.laws.add(breakdown.repair_days, self.step)
            rows.append(row)
        return rows, laws, means, initial


def build_calendars(
    model: FlowModel,
) -> tuple[list[list[int]], list[float], list[float], list[int], list[int]]:
    rows: list[list[int]] = []
    periods: list[float] = []
    times: list[float] = []
    capacities: list[int] = []
    initial: list[int] = []
    for resource in model.resources.values():
        if resource.calendar is None:
            rows.append([0, 0, -1])
            periods.append(0.0)
            initial.append(resource.capacity)
            continue
        changes, loop, period = resource.calendar.expand(resource.capacity)
        start = len(times)
        rows.append([start, len(changes), loop if loop < 0 else start + loop])
        periods.append(period)
        times += [day for day, _ in changes]
        capacities += [capacity for _, capacity in changes]
        initial.append(changes[0][1])
    return rows, periods, times, capacities, initial


def build_gates(model: FlowModel) -> tuple[list[list[int]], list[list[float]], list[float], list[float]]:
    rows: list[list[int]] = []
    periods: list[list[float]] = []
    opens: list[float] = []
    closes: list[float] = []
    for calendar in model.gates.values():
        once, repeated, start, period = calendar.open_windows()
        rows.append([len(opens), len(once), len(opens) + len(once), len(repeated)])
        periods.append([start, period])
        opens += [day for day, _ in once + repeated]
        closes += [day for _, day in once + repeated]
    return rows, periods, opens, closes
