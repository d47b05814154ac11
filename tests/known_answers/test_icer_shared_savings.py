"""What ICER's two scenarios of shared savings take from a cure, as printed for three diseases.

"Will ICER's 'shared savings' approach decrease value-based prices most for the most severe diseases?" (Value in Health) prints
the savings per year of a hypothetical cure that are no longer credited: under 50/50 sharing, and under a cap of 150 000 US
dollars a year. The yearly burden is not printed; the cap gives it (burden = loss + 150 000), and the half must then agree with
the other printed figure. Tolerance: one dollar, the rounding of the figures.
"""

from __future__ import annotations

import pytest

from cartsight.economics.single_therapy_scenarios import single_therapy_scenarios


@pytest.mark.parametrize(
    ("disease", "lost_by_half", "lost_by_cap"),
    [
        ("hemophilia A", 367_670.0, 585_340.0),
        ("acute hepatic porphyria", 333_948.0, 517_896.0),
        ("paroxysmal nocturnal hemoglobinuria", 291_997.0, 433_993.0),
    ],
)
def test_savings_that_are_no_longer_credited(disease: str, lost_by_half: float, lost_by_cap: float) -> None:
    burden = lost_by_cap + 150_000.0
    found = single_therapy_scenarios(
        [burden], [0.0], incremental_qalys=1.0, paid_per_patient=1.0, price=1e6, wtp=100_000.0, discount_rate=0.0
    )
    credited = {rule.name: rule.credited for rule in found.rules}
    assert credited["full credit"] - credited["shared savings"] == pytest.approx(lost_by_half, abs=1.0)
    assert credited["full credit"] - credited["capped offsets"] == pytest.approx(lost_by_cap, abs=1.0)
