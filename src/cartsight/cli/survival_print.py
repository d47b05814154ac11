"""Terminal tables of `cartsight survival`."""

from __future__ import annotations

from typing import Any

from cartsight.cli.output import stdout_console


def shown(value: float | None, digits: int = 3, absent: str = "not reached") -> str:
    """Return a number for a table cell."""
    return absent if value is None or value != value else f"{value:.{digits}g}" if abs(value) < 1e6 else f"{value:.2e}"


def shown_range(pair: list[float]) -> str:
    """Return an interval for a table cell."""
    return f"{shown(pair[0])} to {shown(pair[1])}"


def print_curves(records: list[dict[str, Any]], test: dict[str, Any] | None) -> None:
    """Print medians, landmarks and the log-rank test."""
    from rich.table import Table as Grid

    console = stdout_console()
    grid = Grid(title="Kaplan-Meier")
    for name in (
        "group",
        "n",
        "events",
        "median",
        "95 % interval" if records[0]["level"] == 0.95 else "interval",
    ):
        grid.add_column(name, justify="left" if name == "group" else "right")
    for r in records:
        grid.add_row(
            str(r["group"]),
            str(r["n"]),
            str(r["events"]),
            shown(r["median"], 4, "not reached" if "restricted_mean" in r else "not estimated"),
            shown_range(r["median_interval"]) if r["median"] is not None and r["events"] else "",
        )
    console.print(grid)
    for r in records:
        if r.get("note"):
            console.print(f"{r['group']}: {r['note']}")
    for r in records:
        if not r["landmarks"]:
            continue
        grid = Grid(title=f"Survival: {r['group']}")
        for name in ("time", "at risk", "survival", "low", "high"):
            grid.add_column(name, justify="right")
        for mark in r["landmarks"]:
            grid.add_row(
                f"{mark['time']:g}",
                f"{mark['at_risk']:g}",
                *(shown(mark[k], 3, "") for k in ("survival", "low", "high")),
            )
        console.print(grid)
    if test is not None:
        console.print(
            f"log-rank: chi-squared {test['chi_squared']:.4g} "
            f"on {test['degrees_of_freedom']} df, p = {test['p_value']:.3g}"
        )


def print_models(record: dict[str, Any]) -> None:
    """Print the fitted models of one group."""
    from rich.table import Table as Grid

    console = stdout_console()
    grid = Grid(title=f"Models: {record['group']}")
    for name in ("model", "loglik", "AIC", "BIC", "weight", "cured fraction"):
        grid.add_column(name, justify="left" if name == "model" else "right", no_wrap=name == "model")
    refused = []
    for m in record["models"]:
        if m.get("error"):
            refused.append(f"{m['name']}: {m['error']}")
            grid.add_row(m["name"], "not fitted", "", "", "", "")
            continue
        cure = ""
        if "cure_fraction" in m:
            low, high = m["cure_fraction_interval"]
            cure = "refused" if m["cure_fraction"] is None else f"{m['cure_fraction']:.2f}"
            cure += f" ({low:.2f}-{high:.2f})" if low is not None else ""
            if m["cure_fraction"] is None:
                refused.append(f"{m['name']}: {m['cure_fraction_reason']}")
        grid.add_row(
            m["name"],
            f"{m['loglik']:.2f}",
            f"{m['aic']:.1f}",
            f"{m['bic']:.1f}",
            f"{m.get('aic_weight', 0):.2f}",
            cure,
        )
    console.print(grid)
    for line in refused:
        console.print(line)
    for c in record.get("early_cut", []):
        text = c["error"] or f"largest error in survival {shown(c['largest_error'])}"
        console.print(f"early cut at {c['cut']:g}, {c['name']}: {text}")


def print_reconstruction(record: dict[str, Any]) -> None:
    """Print a reconstruction and its diagnostics."""
    from rich.table import Table as Grid

    console, checks = stdout_console(), record["diagnostics"]
    console.print(
        f"patients {record['n']}, events {record['events']}, "
        f"median {shown(record['median'], 4)} ({shown_range(record['median_interval'])})"
    )
    console.print(
        f"largest |dS| {checks['largest_survival_error']:.4f} at {checks['largest_survival_error_time']:g}, "
        f"mean {checks['mean_survival_error']:.4f}"
    )
    if checks["events_published"] is not None:
        console.print(f"events published {checks['events_published']}, reconstructed {checks['events_reconstructed']}")
    grid = Grid(title="Numbers at risk")
    for name in ("time", "published", "reconstructed", "error"):
        grid.add_column(name, justify="right")
    for row in checks["at_risk"]:
        grid.add_row(f"{row['time']:g}", f"{row['published']:g}", f"{row['reconstructed']:g}", f"{row['error']:+g}")
    console.print(grid)
    if record["output"] is not None:
        console.print(f"individual data in {record['output']}")


def print_landmark_fit(record: dict[str, Any]) -> None:
    """Print a fit to published landmarks."""
    from rich.table import Table as Grid

    console = stdout_console()
    grid = Grid(title=record["name"])
    for name in ("parameter", "estimate", "95 % interval"):
        grid.add_column(name, justify="left" if name == "parameter" else "right")
    for name, value in record["parameters"].items():
        grid.add_row(name, shown(value, 4), shown_range(record["parameter_intervals"][name]))
    console.print(grid)
    p = "" if record["p_value"] != record["p_value"] else f", p = {record['p_value']:.3g}"
    console.print(f"chi-squared {record['chi_squared']:.3g} on {record['degrees_of_freedom']} df{p}")
    grid = Grid(title="Fitted survival")
    for name in ("time", "survival", "low", "high"):
        grid.add_column(name, justify="right")
    for mark in record["landmarks"]:
        grid.add_row(f"{mark['time']:g}", *(shown(mark[k]) for k in ("survival", "low", "high")))
    console.print(grid)
