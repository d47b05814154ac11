"""The compiled graph as a Mermaid flowchart or as indented text."""

from __future__ import annotations

from cartsight.simulation import tables as t
from cartsight.simulation.compile import CompiledModel, successors

_SHAPES = {
    t.END: ("([", "])"),
    t.CHANCE: ("{", "}"),
    t.SWITCH: ("{", "}"),
    t.TEST: ("{", "}"),
    t.IN_STATE: ("{", "}"),
    t.RETRY: ("{", "}"),
    t.SEIZE: ("[[", "]]"),
    t.TAKE: ("[(", ")]"),
    t.PUT: ("[(", ")]"),
    t.WITHDRAW: ("[(", ")]"),
}


def _edges(compiled: CompiledModel) -> list[tuple[int, int, str]]:
    tables = compiled.tables
    targets = tables.branch_target.tolist()
    edges = []
    for pc, row in enumerate(tables.program.tolist()):
        op = row[t.OP]
        if op == t.CHANCE:
            p = float(tables.step_value[pc, 0])
            edges += [(pc, pc + 1, f"{p:.3g}"), (pc, row[t.B], f"{1 - p:.3g}")]
        elif op == t.SWITCH:
            before = 0.0
            for i in range(row[t.A], row[t.A] + row[t.B]):
                edges.append((pc, targets[i], f"{tables.branch_cumulative[i] - before:.3g}"))
                before = float(tables.branch_cumulative[i])
        elif op in (t.TEST, t.IN_STATE):
            edges += [(pc, pc + 1, "yes"), (pc, row[t.D] if op == t.TEST else row[t.B], "no")]
        elif op == t.SEIZE and row[t.EXTRA] >= 0:
            edges += [(pc, pc + 1, ""), (pc, row[t.EXTRA], "breakdown")]
        elif op == t.RETRY:
            edges += [(pc, row[t.A], f"up to {row[t.C]}"), (pc, row[t.B], "then")]
        else:
            edges += [(pc, q, "") for q in successors(row, pc, targets)]
    return edges


def mermaid(compiled: CompiledModel) -> str:
    """Return the graph of the programs and clocks as a Mermaid flowchart."""
    rows = compiled.tables.program.tolist()
    lines = ["flowchart TD"]
    for name, entry in compiled.entries.items():
        lines.append(f'  start{entry}(("{_clean(name)}")) --> n{entry}')
    for pc, row in enumerate(rows):
        left, right = _SHAPES.get(row[t.OP], ("[", "]"))
        lines.append(f'  n{pc}{left}"{_clean(compiled.row_names[pc] + _remembers(compiled, row))}"{right}')
    for pc, q, label in _edges(compiled):
        lines.append(f"  n{pc} -->|{label}| n{q}" if label else f"  n{pc} --> n{q}")
    for k, clock in enumerate(compiled.tables.clock_rule.tolist()):
        what = compiled.model.states[clock[2]] if clock[1] == t.FIRE_STATE else ""
        lines.append(f'  clock{k}{{{{"clock: {_clean(compiled.clocks[k])}{" -> " + what if what else ""}"}}}}')
        if clock[1] == t.FIRE_GOTO:
            lines.append(f"  clock{k} -.-> n{clock[2]}")
        elif clock[1] == t.FIRE_END:
            lines.append(f'  clock{k} -.-> fired{k}(["{_clean(compiled.statuses[clock[2]])}"])')
    return "\n".join(lines)


def outline(compiled: CompiledModel) -> str:
    """Return the programs as numbered text, one step a line, with the branches."""
    edges: dict[int, list[str]] = {}
    for pc, q, label in _edges(compiled):
        if q != pc + 1 or label:
            edges.setdefault(pc, []).append(f"{label + ': ' if label else ''}-> {q}")
    starts = {entry: name for name, entry in compiled.entries.items()}
    lines = []
    for pc, row in enumerate(compiled.tables.program.tolist()):
        if pc in starts:
            lines.append(f"{starts[pc]}:")
        kind = t.OPERATION_NAMES[row[t.OP]]
        name = compiled.row_names[pc]
        lines.append(f"  {pc:3d} {kind:9s} {name}  {', '.join(edges.get(pc, []))}".rstrip())
    return "\n".join(lines)


def _remembers(compiled: CompiledModel, row: list[int]) -> str:
    """Return what a node says of the set-up of the servers that it takes."""
    if row[t.OP] != t.SEIZE:
        return ""
    model, found = compiled.model, set()
    for g in compiled.tables.seize_group[row[t.A] : row[t.A] + row[t.B]].tolist():
        name = compiled.groups[g]
        for candidate in model.groups[name].candidates if name in model.groups else (name,):
            setup = model.setups.get(candidate)
            if setup is not None:
                found.add(f" (set-up by {setup.attribute}, campaigns of {setup.campaign})")
    return "".join(sorted(found))


def _clean(name: str) -> str:
    return name.replace('"', "'")
