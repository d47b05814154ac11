"""CSV files of simulated cultures, for tests of `quality monitor`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

DAYS = (1, 2, 3, 4)


def write_cultures(folder: Path, count: int, seed: int, running: int = 3) -> tuple[Path, Path]:
    """Write cultures that fail when they grow slowly, and spectra that hold their glucose; return both files.

    The last `running` batches have no outcome.
    """
    rng = np.random.default_rng(seed)
    rate = rng.normal(0.5, 0.08, count)
    failed = rate + rng.normal(0, 0.03, count) < 0.42
    harvest = np.log(14.0) / np.maximum(rate, 0.2) + 0.1 * rng.normal(size=count)
    axis = np.linspace(0, 1, 40)
    band, other = np.exp(-((axis - 0.4) ** 2) / 0.005), np.exp(-((axis - 0.55) ** 2) / 0.01)
    lines = ["batch,day,glucose,lactate,failed,harvest_day"]
    spectra = ["batch,day," + ",".join(f"{400 + 10 * k}" for k in range(axis.size))]
    for i in range(count):
        finished = i < count - running
        for day in DAYS:
            cells = np.exp(rate[i] * day)
            glucose = 20 - 1.2 * cells + 0.3 * rng.normal()
            lactate = 1.5 * cells + 0.3 * rng.normal()
            outcome = f"{int(failed[i])},{harvest[i]:.3f}" if finished else ","
            lines.append(f"B{i:03d},{day},{glucose:.4f},{lactate:.4f},{outcome}")
            spectrum = glucose / 20 * band + lactate / 10 * other + 0.5 + 0.3 * rng.normal() * axis
            spectrum = spectrum + 0.01 * rng.normal(size=axis.size)
            spectra.append(f"B{i:03d},{day}," + ",".join(f"{x:.5f}" for x in spectrum))
    (folder / "cultures.csv").write_text("\n".join(lines) + "\n")
    (folder / "spectra.csv").write_text("\n".join(spectra) + "\n")
    return folder / "cultures.csv", folder / "spectra.csv"
