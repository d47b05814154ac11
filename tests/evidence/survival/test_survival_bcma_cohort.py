"""The BCMA cohort loader, on a synthetic file of the same shape (the real one has no licence)."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from cartsight.core.errors import InputError
from cartsight.evidence.survival import SurvivalData, kaplan_meier, log_rank
from cartsight.evidence.survival.bcma_cohort import read_bcma_cohort


def synthetic() -> pd.DataFrame:
    rows = 12
    return pd.DataFrame(
        {
            "patient_id": [f"Patient{i:03d}" for i in range(1, rows + 1)],
            "sex": ["m", "w"] * 6,
            "age_cart": list(range(50, 50 + rows)),
            "type_cart": ["a", "a", "c"] * 4,
            "OOS_binary": [0, 1, 0, 0] * 3,
            "status_before_cart": ["CR", "nCR", "VGPR", "PR", "SD", "PD"] * 2,
            "therapy_before_cart": ["CD38", "Bispecific Ab", "Chemotherapy"] * 4,
            "death": [0, 0, 1, 0] * 3,
            "os": [400, 380, 160, 90] * 3,
            "status": [0, 1, 1, 0] * 3,
            "pfs": [400, 120, 30, 90] * 3,
            "crs_grade": [0, 1, 2, 1] * 3,
            "time_apheresis_cart": [49, 55, 83, 76] * 3,
        }
    )


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_reads_workbook_and_export(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"cohort.{kind}"
    if kind == "xlsx":
        synthetic().to_excel(file, sheet_name="clin_data", index=False)
    else:
        synthetic().to_csv(file, index=False)
    table = read_bcma_cohort(file)
    assert len(table) == 12
    assert set(table["response_to_bridging"]) == {"CR", "VGPR/PR", "SD/PD"}
    assert set(table["product"]) == {"ide-cel", "cilta-cel"}
    assert table["progression_free_months"].iloc[1] == pytest.approx(120 / 30.417)
    assert table["out_of_specification"].sum() == 3
    assert table["cytokine_release_syndrome_grade"].tolist()[:4] == [0, 1, 2, 1]
    data = SurvivalData(table["progression_free_months"].to_numpy(), table["progressed_or_died"].to_numpy())
    assert kaplan_meier(data).events.sum() == 6


def test_grouped_words_of_the_r_export_are_understood(tmp_path: Path) -> None:
    raw = synthetic().drop(columns="type_cart").assign(Product=["Ide-cel", "Cilta-cel"] * 6)
    raw["status_before_cart"] = ["CR", "VGPR/PR", "SD/PD"] * 4
    raw["crs_grade"] = ["no CRS", "Grade 1", "Grade 2", "Grade 1"] * 3
    file = tmp_path / "export.csv"
    raw.to_csv(file, index=False)
    table = read_bcma_cohort(file)
    assert table["cytokine_release_syndrome_grade"].tolist()[:3] == [0, 1, 2]
    assert table["product"].iloc[0] == "ide-cel"


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_bcma_cohort(tmp_path / "none.xlsx")
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"not a workbook")
    with pytest.raises(InputError):
        read_bcma_cohort(broken)
    other = tmp_path / "data.RDS"
    other.write_bytes(b"x")
    with pytest.raises(InputError, match="unknown file type"):
        read_bcma_cohort(other)
    file = tmp_path / "short.csv"
    synthetic().drop(columns="pfs").to_csv(file, index=False)
    with pytest.raises(InputError, match="column of the BCMA cohort is missing"):
        read_bcma_cohort(file)
    synthetic().assign(status_before_cart="XX").to_csv(file, index=False)
    with pytest.raises(InputError, match="not understood"):
        read_bcma_cohort(file)
    synthetic().assign(pfs="soon").to_csv(file, index=False)
    with pytest.raises(InputError, match="not a number"):
        read_bcma_cohort(file)
    synthetic().assign(death=2).to_csv(file, index=False)
    with pytest.raises(InputError, match="0 or 1"):
        read_bcma_cohort(file)


def test_published_figures_of_the_real_cohort() -> None:
    # Authors' figure 2C and table 1: p = 0.043; medians about 5.75 and 10.36 months; 70 days (60-86).
    path = os.environ.get("CARTSIGHT_BCMA_COHORT")
    if path is None:
        pytest.skip("set CARTSIGHT_BCMA_COHORT to your copy of cart_bridging_data.xlsx")
    table = read_bcma_cohort(path)
    groups = {
        name: SurvivalData(part["progression_free_months"].to_numpy(), part["progressed_or_died"].to_numpy())
        for name, part in table.groupby("response_to_bridging")
    }
    assert {name: group.n for name, group in groups.items()} == {"CR": 4, "VGPR/PR": 25, "SD/PD": 23}
    assert log_rank(list(groups.values())).p_value == pytest.approx(0.0430, abs=5e-5)
    assert kaplan_meier(groups["SD/PD"]).median.value == pytest.approx(5.75, abs=5e-3)
    assert kaplan_meier(groups["VGPR/PR"]).median.value == pytest.approx(10.36, abs=5e-3)
    assert kaplan_meier(groups["CR"]).events.sum() == 0
    assert table["apheresis_to_infusion_days"].median() == 70
    assert table["died"].sum() == 8
