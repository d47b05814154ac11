"""FCS files through flowio: the share of events inside rectangular gates that the user states, with the counts behind it.

No automatic gating. A gate is a rectangle in one or more channels, nested in a parent; the reported result is the
percentage of the parent's events, and the number of parent events is kept, because it bounds the precision (binomial).
"""

from __future__ import annotations

import io
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.results_table.table import Result, ResultTable, checked_bytes, settle, source_of


@dataclass(frozen=True)
class Gate:
    """A rectangle: ``{channel: (low, high)}`` within `parent` (all events when None)."""

    name: str
    ranges: dict[str, tuple[float, float]]
    parent: str | None = None
    attribute: str | None = None


@dataclass(frozen=True)
class GatedShare:
    """Events inside a gate and inside its parent."""

    gate: str
    events: int
    parent_events: int

    @property
    def percent(self) -> float:
        """Percentage of the parent's events; NaN without any."""
        return 100.0 * self.events / self.parent_events if self.parent_events else float("nan")


def read_gates(path: Path | str) -> tuple[Gate, ...]:
    """Read gates from TOML: ``[gates.NAME]`` with ``parent``, ``attribute`` and ``ranges = { channel = [low, high] }``."""
    try:
        values = tomllib.loads(checked_bytes(path).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError("the file is not UTF-8 text", file=path) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not valid TOML: {error}", file=path) from None
    tables = values.get("gates")
    if not isinstance(tables, Mapping) or not tables:
        raise InputError("no [gates.NAME] table", file=path)
    return tuple(_gate(str(name), body, list(tables), path) for name, body in tables.items())


def _gate(name: str, body: Any, names: Sequence[str], path: Path | str) -> Gate:
    place = f"gates.{name}"
    if not isinstance(body, Mapping) or not isinstance(body.get("ranges"), Mapping) or not body["ranges"]:
        raise InputError("a gate needs ranges = { channel = [low, high] }", file=path, field=place)
    for key in body:
        if key not in ("ranges", "parent", "attribute"):
            raise InputError("unknown key", file=path, field=f"{place}.{key}", allowed="ranges, parent, attribute")
    ranges = {}
    for channel, pair in body["ranges"].items():
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, (int, float)) for x in pair)):
            raise InputError("two numbers are expected", file=path, field=f"{place}.ranges.{channel}", found=pair)
        if not pair[0] < pair[1]:
            raise InputError("low must be below high", file=path, field=f"{place}.ranges.{channel}", found=pair)
        ranges[str(channel)] = (float(pair[0]), float(pair[1]))
    parent = body.get("parent")
    if parent is not None and parent not in names[: names.index(name)]:
        raise InputError(
            "the parent must be a gate above this one", file=path, field=f"{place}.parent", found=parent,
            hint=nearest(str(parent), names),
        )  # fmt: skip
    return Gate(name, ranges, parent, body.get("attribute"))


def gated_shares(
    events: npt.NDArray[np.float64], channels: Sequence[str], gates: Sequence[Gate]
) -> tuple[GatedShare, ...]:
    """Return the share of each gate.

    Parameters
    ----------
    events : array, shape (n, channels)
    channels : sequence of str
    gates : sequence of Gate
        Parents before children.

    Raises
    ------
    InputError
        A gate names a channel that the file lacks.
    """
    inside: dict[str | None, npt.NDArray[np.bool_]] = {None: np.ones(len(events), dtype=np.bool_)}
    found = []
    for gate in gates:
        chosen = inside[gate.parent].copy()
        for channel, (low, high) in gate.ranges.items():
            if channel not in channels:
                raise InputError(
                    "no such channel", field=f"gates.{gate.name}", found=channel, allowed=", ".join(channels),
                    hint=nearest(channel, channels),
                )  # fmt: skip
            column = events[:, list(channels).index(channel)]
            chosen &= (column >= low) & (column < high)
        inside[gate.name] = chosen
        found.append(GatedShare(gate.name, int(chosen.sum()), int(inside[gate.parent].sum())))
    return tuple(found)


def read_fcs(path: Path | str, gates: Sequence[Gate], *, batch: str | None = None, lab: str = "") -> ResultTable:
    """Read an FCS file and return one result per gate: percent of the parent, with the parent's events.

    `batch` defaults to the file's ``$SMNO`` or, failing that, its name.
    """
    content = checked_bytes(path)
    try:
        import flowio
    except ImportError:
        raise InputError("reading FCS files needs flowio", file=path, hint="Install cartsight[assays].") from None
    if not content.startswith(b"FCS"):
        raise InputError("this is not an FCS file", file=path)
    try:
        data = flowio.FlowData(io.BytesIO(content), ignore_offset_error=True)
        events = np.asarray(data.as_array(), dtype=np.float64)
    except Exception as error:  # flowio raises bare exceptions of many kinds on damaged files
        raise InputError(f"the FCS file cannot be read: {error}", file=path) from None
    channels = list(data.pnn_labels)
    stains = {stain: channels[i] for i, stain in enumerate(data.pns_labels) if stain}
    named = [Gate(g.name, {stains.get(c, c): r for c, r in g.ranges.items()}, g.parent, g.attribute) for g in gates]
    name = Path(path).name
    sample = batch or str(data.text.get("smno", "")) or Path(path).stem
    results = []
    remarks = []
    for gate, share in zip(named, gated_shares(events, channels, named), strict=True):
        if share.parent_events == 0:
            remarks.append(f"{name}: gate {gate.name!r} has no parent events, so it gives no percentage")
            continue
        results.append(
            Result(
                batch=sample,
                attribute=gate.attribute or gate.name,
                value=share.percent,
                unit="percent",
                assay="flow cytometry",
                lab=lab,
                events=share.parent_events,
                source=name,
            )
        )
        if share.parent_events < 100:
            remarks.append(f"{name}: gate {gate.name!r} rests on {share.parent_events} events")
    return settle(results, [], [source_of(path, content, len(gates))], remarks)
