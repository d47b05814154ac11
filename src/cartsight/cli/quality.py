"""`cartsight quality`: potency, combination, comparability, tolerance, capability, variance, gauge,
charts, counting, release, process analytics, data."""

from __future__ import annotations

import typer

from cartsight.cli import (
    quality_counting,
    quality_data,
    quality_monitor,
    quality_potency,
    quality_release,
    quality_statistics,
)

app = typer.Typer(help="Assays and lots: potency, comparability, variance, control charts.", no_args_is_help=True)

quality_potency.register(app)
quality_statistics.register(app)
quality_counting.register(app)
quality_release.register(app)
quality_monitor.register(app)
quality_data.register(app)
