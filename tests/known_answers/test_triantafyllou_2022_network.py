"""Proven optima of two published network instances (Triantafyllou et al. 2022, doi:10.1038/s41598-022-21290-5).

The objective values are optima of the published data in exact reduced form, checked once against the unmodified published
constraints on trimmed cases; they are no figures printed in the paper. The data have two decimals, so the optimum is exact
to the cent; return time is the published 18-day limit because one slow leg is always cheaper.
The instance files are not part of this repository: the tests skip where they are absent.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cartsight.planning import load_instance, replay, solve_instance

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "ishipment"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the published instances are not on this machine")

KNOWN = [
    ("Data200_profileA", 2, 7_136_821.80, ("m1", "m4"), 8, 142_736.4),
    ("Data200_profileA", None, 7_136_821.80, ("m1", "m4"), 8, 142_736.4),
    ("Data500_profileA", 2, 17_968_217.80, ("m3", "m6"), 20, 143_745.7),
    ("Data500_profileA", None, 16_390_926.70, ("m1", "m3", "m4"), 18, 131_127.4),
]


@pytest.mark.parametrize(("name", "limit", "objective", "opened", "lines", "per_therapy"), KNOWN)
def test_proven_optimum_and_replay(
    name: str, limit: int | None, objective: float, opened: tuple[str, ...], lines: int, per_therapy: float
) -> None:
    instance = load_instance(FOLDER / f"{name}.dat")
    solution = solve_instance(instance, maximum_sites=limit)
    assert solution.status == "optimal"
    assert solution.gap <= 1e-9
    assert solution.objective == pytest.approx(objective, abs=0.005)
    assert solution.opened_sites == opened
    assert solution.lines == lines
    assert solution.cost_per_therapy == pytest.approx(per_therapy, abs=0.06)  # printed to one decimal
    assert solution.return_days.mean() == 18.0
    done = replay(instance, solution)
    assert done.matches
    assert round(done.cost, 2) == round(objective, 2)
    assert (done.return_day == solution.return_day).all()
    assert (done.largest_occupancy <= instance.lines).all()


def test_split_of_the_cost_of_the_small_instance() -> None:
    """Per therapy: plants 120,307.9, transport 2,640.6, materials and quality control 19,788."""
    instance = load_instance(FOLDER / "Data200_profileA.dat")
    solution = solve_instance(instance, maximum_sites=2)
    assert solution.site_cost / 50 == pytest.approx(120_307.9, abs=0.06)
    assert solution.transport_cost / 50 == pytest.approx(2_640.6, abs=0.06)
    assert (solution.material_cost + solution.quality_control_cost) / 50 == 19_788.0
