"""Individuals and moving range together, against simulation; a set of limits that does not exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cartsight.core.errors import InputError
from cartsight.evidence.quality.control_charts import individuals_chart
from cartsight.evidence.quality.release import read_release_specification
from cartsight.evidence.quality.run_length import (
    individuals_and_range_average_run_length,
    shewhart_average_run_length,
)

RANGE_LIMIT = 3.2665 * 1.1283791670955126


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_joint_run_length_against_simulation(shift: float) -> None:
    rng = np.random.default_rng(4)
    runs, lengths = 20_000, np.zeros(20_000)
    alive, last = np.arange(runs), np.full(runs, np.nan)
    step = 0
    while alive.size:
        step += 1
        x = rng.standard_normal(alive.size) + shift
        stop = (np.abs(x) > 3) | (np.abs(x - last) > RANGE_LIMIT)
        lengths[alive[stop]] = step
        alive, last = alive[~stop], x[~stop]
    error = lengths.std() / runs**0.5
    assert individuals_and_range_average_run_length(3.0, RANGE_LIMIT, shift) == pytest.approx(
        lengths.mean(), abs=4 * error
    )


def test_joint_run_length_at_its_ends() -> None:
    # a range that never signals leaves the limits of the values
    alone = shewhart_average_run_length(3.0, 0.5)
    assert individuals_and_range_average_run_length(3.0, 7.0, 0.5) == pytest.approx(alone, rel=1e-9)
    # limits that never signal leave the range: rarer than independent ranges, since neighbours share a value
    only = individuals_and_range_average_run_length(9.0, RANGE_LIMIT)
    assert only > 1 / (2 * stats.norm.sf(RANGE_LIMIT / np.sqrt(2)))
    with pytest.raises(InputError):
        individuals_and_range_average_run_length(3.0, 0.0)


def test_the_chart_says_how_often_both_signal() -> None:
    values = np.random.default_rng(1).normal(10, 1, 40)
    chart = individuals_chart(values, centre=10.0, sigma=1.0)
    assert chart.run_lengths[0].average_run_length == pytest.approx(370.398, abs=1e-3)
    assert chart.settings["run_length_with_moving_range"] < 120
    assert any("moving range beside it" in word for word in chart.warnings)


@pytest.mark.parametrize(("key", "value"), [("region", "eu"), ("product", "other")])
def test_limits_of_one_region_are_not_those_of_another(tmp_path: Path, key: str, value: str) -> None:
    file = tmp_path / "s.toml"
    file.write_text(
        'region = "us"\n[attributes.v]\nmean = 85\nsd = 5\nassay = { sd = 1 }\nlimits = { lower = 80 }\n',
        encoding="utf-8",
    )
    assert read_release_specification(file, region="us").region == "us"
    with pytest.raises(InputError, match="one set of limits"):
        read_release_specification(file, **{key: value})
