"""FCS files through flowio: the share of events inside gates that the user states, with the counts behind it.

No automatic gating. A gate is a rectangle in one or more channels or a polygon in two, nested in a parent; the reported
result is the percentage of the parent's events, and the number of parent events is kept, because it bounds the precision
(binomial). Spillover is taken out before gating where the gates file says so; see `compensation`.
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
from cartsight.evidence.quality.results_table.spillover import Compensation, compensated, compensation_of
from cartsight.evidence.quality.results_table.table import Result, ResultTable, checked_bytes, settle, source_of


@dataclass(frozen=True)
class Polygon:
    """A polygon in two channels, closed from its last point to its first."""

    channels: tuple[str, str]
    points: tuple[tuple[float, float], ...]

    def holds(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which points lie inside, by the even-odd rule."""
        inside = np.zeros(x.size, dtype=np.bool_)
        for (x0, y0), (x1, y1) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            if y0 == y1:
                continue
            crosses = ((y0 <= y) & (y < y1)) | ((y1 <= y) & (y < y0))
            inside ^= crosses & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
        return inside


@dataclass(frozen=True)
class Gate:
    """A rectangle ``{channel: (low, high)}``, a polygon or both, within `parent` (all events when None)."""

    name: str
    ranges: dict[str, tuple[float, float]]
    parent: str | None = None
    attribute: str | None = None
    polygon: Polygon | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that decide."""
        return (*self.ranges, *(self.polygon.channels if self.polygon is not None else ()))

    def renamed(self, names: Mapping[str, str]) -> Gate:
        """Return the gate with channels under other names."""
        polygon = self.polygon
        if polygon is not None:
            first, second = (names.get(channel, channel) for channel in polygon.channels)
            polygon = Polygon((first, second), polygon.points)
        ranges = {names.get(channel, channel): pair for channel, pair in self.ranges.items()}
        return Gate(self.name, ranges, self.parent, self.attribute, polygon)


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
    """Read gates from TOML: ``[gates.NAME]`` with ``parent``, ``attribute`` and ``ranges = { channel = [low, high] }``
    or ``polygon = { channels = [x, y], points = [[x1, y1], ...] }``."""
    tables = _gates_file(path).get("gates")
    if not isinstance(tables, Mapping) or not tables:
        raise InputError("no [gates.NAME] table", file=path)
    return tuple(_gate(str(name), body, list(tables), path) for name, body in tables.items())


def read_compensation(path: Path | str) -> Compensation:
    """Read what a gates file says of spillover: ``compensation = "file"``, ``"none"``, or a matrix of its own.

    ``[compensation]`` with ``channels`` and ``matrix`` states one: row i is what the dye of channel i gives in every
    channel, 1 on the diagonal. Without the key the answer is ``None``: fine as long as the FCS file has no matrix.
    """
    return compensation_of(_gates_file(path).get("compensation"), str(path))


def _gates_file(path: Path | str) -> dict[str, Any]:
    try:
        values = tomllib.loads(checked_bytes(path).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError("the file is not UTF-8 text", file=path) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not valid TOML: {error}", file=path) from None
    for key in values:
        if key not in ("gates", "compensation"):
            raise InputError(
                "unknown key",
                file=path,
                field=key,
                allowed="gates, compensation",
                hint=nearest(key, ["gates", "compensation"]),
            )
    return values


def _gate(name: str, body: Any, names: Sequence[str], path: Path | str) -> Gate:
    place = f"gates.{name}"
    if not isinstance(body, Mapping) or not (
        (isinstance(body.get("ranges"), Mapping) and body["ranges"]) or "polygon" in body
    ):
        raise InputError(
            "a gate needs ranges = { channel = [low, high] } or polygon = { channels = [x, y], points = [...] }",
            file=path,
            field=place,
        )
    for key in body:
        if key not in ("ranges", "polygon", "parent", "attribute"):
            raise InputError(
                "unknown key", file=path, field=f"{place}.{key}", allowed="ranges, polygon, parent, attribute"
            )
    ranges = {}
    for channel, pair in body.get("ranges", {}).items():
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
    polygon = _polygon(body["polygon"], path, f"{place}.polygon") if "polygon" in body else None
    return Gate(name, ranges, parent, body.get("attribute"), polygon)


def _polygon(body: Any, path: Path | str, place: str) -> Polygon:
    channels = body.get("channels") if isinstance(body, Mapping) else None
    points = body.get("points") if isinstance(body, Mapping) else None
    if not (isinstance(channels, list) and len(channels) == 2 and channels[0] != channels[1]):
        raise InputError("a polygon needs two different channels", file=path, field=f"{place}.channels", found=channels)
    if not isinstance(points, list) or len(points) < 3:
        raise InputError("a polygon needs three points or more", file=path, field=f"{place}.points", found=points)
    for point in points:
        if not (isinstance(point, list) and len(point) == 2 and all(isinstance(x, (int, float)) for x in point)):
            raise InputError("a point is two numbers", file=path, field=f"{place}.points", found=point)
    corners = tuple((float(x), float(y)) for x, y in points)
    return Polygon((str(channels[0]), str(channels[1])), corners)


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
        for channel in gate.channels:
            if channel not in channels:
                raise InputError(
                    "no such channel", field=f"gates.{gate.name}", found=channel, allowed=", ".join(channels),
                    hint=nearest(channel, channels),
                )  # fmt: skip
        for channel, (low, high) in gate.ranges.items():
            column = events[:, list(channels).index(channel)]
            chosen &= (column >= low) & (column < high)
        if gate.polygon is not None:
            x, y = (events[:, list(channels).index(channel)] for channel in gate.polygon.channels)
            chosen &= gate.polygon.holds(x, y)
        inside[gate.name] = chosen
        found.append(GatedShare(gate.name, int(chosen.sum()), int(inside[gate.parent].sum())))
    return tuple(found)


def read_fcs(
    path: Path | str,
    gates: Sequence[Gate],
    *,
    batch: str | None = None,
    lab: str = "",
    compensation: Compensation = None,
) -> ResultTable:
    """Read an FCS file and return one result per gate: percent of the parent, with the parent's events.

    Parameters
    ----------
    path : path
    gates : sequence of Gate
    batch : str, optional
        Default: the file's ``$SMNO`` or, failing that, its name.
    lab : str
    compensation : {"file", "none"}, Spillover or None
        Take out the spillover that the file states, none, or that of a matrix.

    Raises
    ------
    InputError
        Not a readable FCS file; a gate on a channel that it lacks; a file that states spillover between channels that the
        gates use while `compensation` is None, because gated shares depend on the choice.
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
    named = [gate.renamed(stains) for gate in gates]
    name = Path(path).name
    used = {channel for gate in named for channel in gate.channels}
    try:
        events, words = compensated(events, channels, stains, data.text, used, compensation)
    except InputError as error:
        raise error.located(file=path) from None
    sample = batch or str(data.text.get("smno", "")) or Path(path).stem
    results = []
    remarks = [f"{name}: {word}" for word in words]
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
