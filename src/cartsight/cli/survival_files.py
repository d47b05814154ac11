"""Files and options of `cartsight survival`, read into the values that the survival room takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartsight.cli.output import stderr_console

if TYPE_CHECKING:
    from cartsight.evidence.survival.observations import SurvivalData
    from cartsight.evidence.survival.tables import Table

TIME_NAMES = (
    "time",
    "months",
    "time_months",
    "days",
    "years",
    "t",
    "duration",
    "followup",
    "follow_up",
    "os_months",
    "pfs_months",
)
GROUP_NAMES = ("group", "arm", "treatment", "strategy", "cohort", "product")
EVENT_NAMES = ("event", "died", "death", "dead", "status", "observed", "progressed")


def groups_from_file(
    file: Path,
    time: str | None,
    event: str | None,
    group: str | None,
    entry: str | None,
    upper: str | None,
    weight: str | None,
    quiet: bool,
) -> tuple[Table, dict[str, Any], dict[str, SurvivalData]]:
    """Read a patient file into one `SurvivalData` per group, and say which columns were taken."""
    import numpy as np

    from cartsight.core.errors import InputError
    from cartsight.evidence.survival.observations import SurvivalData
    from cartsight.evidence.survival.tables import read_table

    table = read_table(file)
    if len(table) < 2:
        raise InputError("one row is not a sample", file=file, allowed="at least two rows")
    time_column = time if time is not None else table.first_of(TIME_NAMES, "times; name it with --time")
    event_column = event if event is not None else table.first_of(EVENT_NAMES, "events; name it with --event")
    if time is None or event is None:
        stderr_console(quiet).print(f"time column {time_column!r}, event column {event_column!r}")
    pooled = [c for c in table.header if c.strip().lower() in GROUP_NAMES and c != group]
    if group is None and pooled and 1 < len(set(table.text(pooled[0]))) <= 50:
        stderr_console(quiet).print(f"all patients as one group; --group {pooled[0]} keeps them apart")
    times, events = table.times(time_column), table.indicator(event_column)
    starts = table.times(entry) if entry is not None else np.zeros(len(table))
    ends = table.numbers(upper, missing=True) if upper is not None else np.full(len(table), np.nan)
    weights = table.numbers(weight) if weight is not None else np.ones(len(table))
    zero = np.flatnonzero(events & (times <= 0) & np.isnan(ends))
    if zero.size:
        raise InputError(
            "an event at time 0 has no likelihood",
            file=file,
            line=table.lines[zero[0]],
            field=time_column,
            found=0.0,
            hint="Use a small positive time, or leave the patient out",
        )
    groups = {}
    for name, rows in rows_by_group(table, group).items():
        try:
            groups[name] = SurvivalData(times[rows], events[rows], starts[rows], ends[rows], weights[rows])
        except InputError as error:
            raise error.located(file=file) from None
    return table, {"time_column": time_column, "event_column": event_column, "group_column": group}, groups


def rows_by_group(table: Table, group: str | None) -> dict[str, Any]:
    """Return the row numbers of each group, in order of first appearance."""
    import numpy as np

    from cartsight.core.errors import InputError

    if group is None:
        return {"all": np.arange(len(table))}
    labels = table.text(group)
    for label, line in zip(labels, table.lines, strict=True):
        if not label:
            raise InputError("a group is missing", file=table.file, line=line, field=group)
    names = list(dict.fromkeys(labels))
    if len(names) > 50:
        raise InputError("too many groups", file=table.file, field=group, found=len(names), allowed="up to 50")
    array = np.array(labels)
    return {name: np.flatnonzero(array == name) for name in names}


def comma_words(text: str | None) -> list[str]:
    """Split an option at its commas."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def positive_numbers(text: str, option: str) -> list[float]:
    """Read an option of positive numbers with commas between them."""
    from cartsight.core.errors import InputError

    try:
        values = [float(word) for word in comma_words(text)]
    except ValueError:
        raise InputError("times are numbers with commas between them", field=option, found=text) from None
    if not values or not all(0 < v < float("inf") for v in values):
        raise InputError("times are positive numbers", field=option, found=text)
    return sorted(set(values))


def times_option(text: str | None, last: float) -> Any:
    """Return the landmark times of an option, or round times within the follow-up."""
    import numpy as np

    from cartsight.evidence.survival.summary import landmark_times

    return landmark_times(last) if text is None else np.array(positive_numbers(text, "--landmarks"))


def clicks_from_file(file: Path) -> tuple[Any, Any]:
    """Read clicked points: a column of times and one of survival, found by name."""
    from cartsight.evidence.survival.tables import read_table

    table = read_table(file, headerless=("time", "survival"))
    time = table.first_of(("time", "x", "t", "months", "days", "years", "weeks", "click_time"), "times of the clicks")
    survival = table.first_of(
        (
            "survival",
            "s(t)",
            "km",
            "y",
            "s",
            "surv",
            "probability",
            "survival_probability",
            "percent",
            "survival_percent",
            "os",
            "pfs",
        ),
        "survival of the clicks",
    )
    return table.numbers(time), table.numbers(survival)


def risk_table_from_file(file: Path) -> tuple[Any, Any]:
    """Read an at-risk table: a column of times and one of numbers, found by name."""
    from cartsight.evidence.survival.tables import read_table

    table = read_table(file, headerless=("time", "at_risk"))
    time = table.first_of(
        ("time", "x", "t", "trisk", "months", "days", "years", "weeks", "risk_time"),
        "times of the at-risk table",
    )
    number = table.first_of(
        ("at_risk", "number_at_risk", "n_at_risk", "nrisk", "n_risk", "number", "n", "risk"),
        "numbers at risk",
    )
    return table.numbers(time), table.numbers(number)


def published_landmarks_from_file(file: Path) -> tuple[list[Any], Any]:
    """Read published landmarks and, from a row of kind "median", a median."""
    import numpy as np

    from cartsight.core.errors import InputError
    from cartsight.evidence.survival.published_landmarks import Landmark, PublishedMedian
    from cartsight.evidence.survival.tables import read_table

    table = read_table(file)
    times = table.times(table.first_of(("time", "t", "years", "months", "days"), "times of the landmarks"))
    survival = table.numbers(table.first_of(("survival", "s", "surv", "probability"), "survival"), missing=True)
    nothing = np.full(len(table), np.nan)
    low, high = (table.numbers(c, missing=True) if c in table.header else nothing for c in ("low", "high"))
    kinds = [k.lower() for k in table.text("kind")] if "kind" in table.header else [""] * len(table)
    marks, median = [], None
    for i, kind in enumerate(kinds):
        if kind == "median":
            if median is not None:
                raise InputError("two medians", file=file, line=table.lines[i])
            median = PublishedMedian(float(times[i]), float(low[i]), float(high[i]))
        elif kind in ("", "survival", "landmark"):
            if np.isnan(survival[i]):
                raise InputError("a survival is missing", file=file, line=table.lines[i], field="survival")
            marks.append(Landmark(float(times[i]), float(survival[i]), float(low[i]), float(high[i])))
        else:
            raise InputError(
                "unknown kind of landmark",
                file=file,
                line=table.lines[i],
                field="kind",
                found=kind,
                allowed="survival, median",
            )
    return marks, median


def write_individuals(path: Path, data: SurvivalData) -> None:
    """Write individual data as CSV, under a temporary name first."""
    from cartsight.core.errors import InputError

    temporary = path.with_name(path.name + ".part")
    lines = [f"{t!r},{int(e)}" for t, e in zip(data.time.tolist(), data.event.tolist(), strict=True)]
    try:
        temporary.write_text("\n".join(["time,event", *lines]) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"the output cannot be written: {error.strerror}", file=path) from None
