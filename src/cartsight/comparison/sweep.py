"""Sweeps: a scenario over a grid of changed numbers, every case over the same parameter draws, resumable.

The work is cut into blocks (case, draws first to last). A block is written when it is done, under a temporary name that
is renamed, so a killed sweep resumes with what is missing and any block can be run again alone. Results of a block
depend on (scenario, case, draws, seed) only; means and counts are merged from the draws themselves, and waiting times
from integer histograms, so the merge is exact and has no order.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

import cartsight
from cartsight.comparison.executor import Executor
from cartsight.comparison.metrics import STANDARD
from cartsight.comparison.parameter_draws import ParameterDraws, draw_parameters
from cartsight.comparison.single_arm import run_arms
from cartsight.core.errors import InputError, nearest
from cartsight.scenario import Scenario
from cartsight.simulation.pathways import trajectory as t

Float = npt.NDArray[np.float64]

MANIFEST = "manifest.json"
BLOCKS = "blocks"
KEY_SCHEME = "splitmix64/blake2b-1"
WAIT_EDGES = np.concatenate([[0.0], np.geomspace(1.0, 1000.0, 256), [np.inf]])
"""Edges in days of the histogram of referral to infusion: 2.7 % wide, so quantiles are within 1.4 %."""


@dataclass(frozen=True, slots=True)
class Case:
    """One point of the grid: {field path: value}."""

    number: int
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """The whole sweep: cases, draws, and the block map."""

    scenario: Scenario
    cases: tuple[Case, ...]
    draws: int
    block: int
    seed: int

    @property
    def key(self) -> str:
        """Hash of everything that can change a result."""
        text = json.dumps(
            [
                self.scenario.content_hash(),
                [case.values for case in self.cases],
                self.draws,
                self.block,
                self.seed,
                KEY_SCHEME,
                cartsight.__version__,
            ]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def blocks(self) -> list[tuple[int, int, int]]:
        """Return (case, first draw, last draw + 1) of every block."""
        return [
            (case.number, first, min(first + self.block, self.draws))
            for case in self.cases
            for first in range(0, self.draws, self.block)
        ]


@dataclass(frozen=True, slots=True)
class _Task:
    scenario: Scenario
    draws: ParameterDraws
    block: tuple[int, int, int]
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class BlockResult:
    """Draw by draw: metrics (draws, arms, metrics) and the histogram of waiting (draws, arms, bins)."""

    block: tuple[int, int, int]
    values: Float
    waiting: npt.NDArray[np.int64]
    seconds: float
    patients: int


def changed_scenario(scenario: Scenario, values: Mapping[str, float]) -> Scenario:
    """Return the scenario with numbers or design choices (lines, beds, horizon) at other values.

    Raises
    ------
    InputError
        A path that names neither; the message gives the nearest. A value that the rules of its section refuse.
    """
    numbers = scenario.numbers()
    moved = scenario.with_values({path: value for path, value in values.items() if path in numbers})
    structural = {path: value for path, value in values.items() if path not in numbers}
    if not structural:
        for path, value in values.items():
            _check_sections(moved, path, value)
        return moved
    from cartsight.scenario import validate

    raw = _as_written(scenario.model_dump(mode="json", exclude_none=True))
    for path, value in structural.items():
        _set(raw, path, value, numbers)
    rebuilt = validate(raw, Path(scenario.name))
    changed = rebuilt.with_values({path: value for path, value in values.items() if path in numbers})
    for path, value in values.items():
        _check_sections(changed, path, value)
    return changed


def _check_sections(scenario: Scenario, path: str, value: float) -> None:
    """Apply the rules of every section around a number again: a number alone knows its own bounds only."""
    sections: list[tuple[str, BaseModel]] = []
    node: Any = scenario
    parts = path.split(".")[:-1]
    for depth, part in enumerate(parts, start=1):
        node = node.get(part) if isinstance(node, dict) else getattr(node, part, None)
        if isinstance(node, BaseModel):
            sections.append((".".join(parts[:depth]), node))
    for where, section in reversed(sections):
        # Only the rules themselves: to validate again would set every number back to what the file states.
        rules = type(section).__pydantic_decorators__.model_validators
        for name in (name for name, rule in rules.items() if rule.info.mode == "after"):
            try:
                getattr(section, name)()
            except ValueError as error:
                raise InputError(f"{where}: {error}", field=path, found=value) from None


def _as_written(node: Any) -> Any:
    """Return dumped data as a file would write it: a repeated number is its ``same_as`` alone."""
    if isinstance(node, dict):
        if "same_as" in node:
            return {"same_as": node["same_as"]}
        return {key: _as_written(item) for key, item in node.items()}
    if isinstance(node, list):
        return [_as_written(item) for item in node]
    return node


def _set(raw: dict[str, Any], path: str, value: float, numbers: Mapping[str, Any]) -> None:
    node: Any = raw
    *parents, leaf = path.split(".")
    for part in parents:
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict) or leaf not in node or isinstance(node[leaf], dict):
        raise InputError("no number and no design choice at this field path", field=path, hint=nearest(path, numbers))
    whole = isinstance(node[leaf], int) and not isinstance(node[leaf], bool)
    if whole and value != int(value):
        raise InputError("this design choice takes whole numbers", field=path, found=value)
    node[leaf] = int(value) if whole else value


def plan_sweep(
    scenario: Scenario, vary: Mapping[str, Sequence[float]], *, draws: int, block: int = 8, seed: int | None = None
) -> SweepPlan:
    """Return the plan of a full grid over `vary`, checked before anything runs.

    Raises
    ------
    InputError
        No values, fewer than one draw, a path that names nothing, or a case that cannot work.
    """
    if draws < 1 or block < 1:
        raise InputError("draws and block must be at least 1", found=(draws, block))
    for path, values in vary.items():
        if not values:
            raise InputError("no values to vary over", field=path)
    grid = itertools.product(*vary.values())
    cases = tuple(Case(number, tuple(zip(vary, point, strict=True))) for number, point in enumerate(grid))
    for case in cases:
        changed_scenario(scenario, dict(case.values))
    return SweepPlan(scenario, cases, draws, block, scenario.analysis.seed if seed is None else seed)


def run_task(task: _Task) -> BlockResult:
    """Run one block."""
    started = time.perf_counter()
    case, first, last = task.block
    moved = dict(task.values)
    base = changed_scenario(task.scenario, moved)
    rows, histograms, patients = [], [], 0
    for draw in range(first, last):
        values = {path: value for path, value in task.draws.at(draw).items() if path not in moved}
        runs = run_arms(base.with_values(values, known=True), task.draws.patient_seed(draw))
        rows.append([[metric.value(run) for metric in STANDARD] for run in runs.values()])
        histograms.append([_waiting(run.trajectories) for run in runs.values()])
        patients += sum(len(run.trajectories) for run in runs.values())
    return BlockResult(
        (case, first, last), np.array(rows), np.array(histograms), time.perf_counter() - started, patients
    )


def _waiting(trajectories: t.Trajectories) -> npt.NDArray[np.int64]:
    days = trajectories.day.get(t.INFUSION, np.zeros(0))
    return np.histogram(days[~np.isnan(days)], WAIT_EDGES)[0].astype(np.int64)


def _file(folder: Path, block: tuple[int, int, int]) -> Path:
    return folder / BLOCKS / f"case-{block[0]:05d}-draws-{block[1]:06d}-{block[2]:06d}.npz"


def start_sweep(plan: SweepPlan, folder: Path) -> None:
    """Write the manifest of a new sweep, or check that an interrupted one is the same.

    Raises
    ------
    InputError
        The folder holds another sweep, or something else.
    """
    path = folder / MANIFEST
    if path.is_file():
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest.get("key") != plan.key:
            raise InputError(
                "this folder holds another sweep",
                file=path,
                found=manifest.get("key"),
                allowed=plan.key,
                hint="Choose another --output, or repeat the command that started it to resume.",
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise InputError("this folder is not empty and holds no sweep", file=folder)
    (folder / BLOCKS).mkdir(parents=True, exist_ok=True)
    manifest = {
        "cartsight": cartsight.__version__,
        "key": plan.key,
        "key_scheme": KEY_SCHEME,
        "scenario": plan.scenario.name,
        "scenario_hash": plan.scenario.content_hash(),
        "seed": plan.seed,
        "draws": plan.draws,
        "block": plan.block,
        "cases": [dict(case.values) for case in plan.cases],
        "blocks": [list(block) for block in plan.blocks()],
        "arms": list(plan.scenario.arms),
        "metrics": [metric.name for metric in STANDARD],
    }
    _write_text(path, json.dumps(manifest, indent=1))


def run_sweep(
    plan: SweepPlan,
    folder: Path,
    executor: Executor,
    *,
    only: Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run what is missing of a sweep (or the blocks numbered `only`, again) and return its summary.

    Parameters
    ----------
    plan : SweepPlan
    folder : Path
        New, or of the same sweep interrupted.
    executor : Executor
    only : sequence of int, optional
        Numbers in the manifest's block map.
    progress : callable, optional
        Called with (blocks done, blocks in all).
    """
    start_sweep(plan, folder)
    blocks = plan.blocks()
    if only is None:
        wanted = [block for block in blocks if not _file(folder, block).is_file()]
    else:
        for number in only:
            if not 0 <= number < len(blocks):
                raise InputError("no block has this number", found=number, allowed=f"0 to {len(blocks) - 1}")
        wanted = [blocks[number] for number in only]
    parameters = draw_parameters(plan.scenario, plan.draws, plan.seed)
    tasks = [_Task(plan.scenario, parameters, block, plan.cases[block[0]].values) for block in wanted]
    done = len(blocks) - len(wanted) if only is None else 0
    total = len(blocks) if only is None else len(wanted)
    for result in executor.map_blocks(run_task, tasks):
        _save(folder, result)
        done += 1
        if progress is not None:
            progress(done, total)
    return summarise_sweep(plan, folder)


def _save(folder: Path, result: BlockResult) -> None:
    path = _file(folder, result.block)
    temporary = path.with_suffix(".partial")
    with temporary.open("wb") as handle:
        np.savez(handle, values=result.values, waiting=result.waiting, seconds=result.seconds, patients=result.patients)
    os.replace(temporary, path)


def summarise_sweep(plan: SweepPlan, folder: Path) -> dict[str, Any]:
    """Return the summary of the blocks that are there, and write it as ``results.json`` and ``draws.parquet``."""
    names = [metric.name for metric in STANDARD]
    cases, seconds, patients, missing = [], 0.0, 0, 0
    columns: dict[str, list[Any]] = {name: [] for name in ("case", "draw", "arm", *names)}
    for case in plan.cases:
        parts = []
        for block in plan.blocks():
            if block[0] != case.number:
                continue
            if not _file(folder, block).is_file():
                missing += 1
                continue
            with np.load(_file(folder, block)) as stored:
                parts.append((block, stored["values"], stored["waiting"]))
                seconds += float(stored["seconds"])
                patients += int(stored["patients"])
        if not parts:
            continue
        values = np.concatenate([part[1] for part in parts])
        waiting = np.concatenate([part[2] for part in parts]).sum(axis=0)
        draws = np.concatenate([np.arange(block[1], block[2]) for block, _, _ in parts])
        for a, arm in enumerate(plan.scenario.arms):
            columns["case"] += [case.number] * len(draws)
            columns["draw"] += draws.tolist()
            columns["arm"] += [arm] * len(draws)
            for m, name in enumerate(names):
                columns[name] += values[:, a, m].tolist()
        cases.append({"case": case.number, "values": dict(case.values), "arms": _arms(plan, values, waiting)})
    summary = {
        "scenario": plan.scenario.name,
        "key": plan.key,
        "seed": plan.seed,
        "draws": plan.draws,
        "blocks": len(plan.blocks()),
        "missing_blocks": missing,
        "cases": cases,
        "patients_simulated": patients,
        "seconds_of_work": seconds,
        "core_hours_per_million_patients": seconds / 3600.0 / max(patients, 1) * 1e6,
    }
    _write_parquet(folder / "draws.parquet", columns)
    _write_text(folder / "results.json", json.dumps(summary, indent=1, allow_nan=False))
    return summary


def _arms(plan: SweepPlan, values: Float, waiting: npt.NDArray[np.int64]) -> dict[str, Any]:
    arms: dict[str, Any] = {}
    for a, arm in enumerate(plan.scenario.arms):
        metrics: dict[str, dict[str, float | None] | None] = {}
        for m, metric in enumerate(STANDARD):
            column = values[:, a, m]
            known = column[~np.isnan(column)]
            if known.size == 0:
                metrics[metric.name] = None
                continue
            low, high = np.quantile(known, [0.025, 0.975])
            error = float(known.std(ddof=1) / np.sqrt(known.size)) if known.size > 1 else None
            metrics[metric.name] = {
                "mean": float(known.mean()),
                "low_95": float(low),
                "high_95": float(high),
                "monte_carlo_error": error,
            }
        arms[arm] = {"metrics": metrics, "referral_to_infusion_days": _quantiles(waiting[a])}
    return arms


def _quantiles(counts: npt.NDArray[np.int64]) -> dict[str, float] | None:
    """Return quartiles and the 90 % point from the histogram, by the geometric middle of the bin."""
    total = int(counts.sum())
    if total == 0:
        return None
    running = np.cumsum(counts)
    result = {}
    for name, share in (("q25", 0.25), ("median", 0.5), ("q75", 0.75), ("q90", 0.9)):
        place = int(np.searchsorted(running, share * total))
        low, high = WAIT_EDGES[place], WAIT_EDGES[place + 1]
        result[name] = float(np.sqrt(max(low, 0.5) * high)) if np.isfinite(high) else float(low)
    return result


def _write_parquet(path: Path, columns: dict[str, list[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    temporary = path.with_suffix(".partial")
    pq.write_table(pa.table(columns), temporary, compression="zstd")
    os.replace(temporary, path)


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_suffix(".partial")
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)
