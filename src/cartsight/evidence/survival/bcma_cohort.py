"""Loader for the public cohort of 52 patients infused with BCMA CAR-T in Leipzig (Fandrei et al. 2024).

The data come with the article (Blood Cancer Discovery 2024) in
github.com/fraunhofer-izi/Fandrei_et_al_2024, without a licence: they are not part of this package. Give the
path of your copy: `data/cart_bridging_data.xlsx`, or the `clin_data` table exported from
`data/bridging_obj.RDS` as CSV.

Columns read (raw file -> here)
    patient_id                                  -> patient_id
    type_cart ("a", "c") or Product             -> product: ide-cel, cilta-cel
    age_cart, sex ("m", "w")                    -> age_years, sex: male, female
    status_before_cart (nCR, CR, VGPR, PR, SD, PD, or already grouped) -> response_to_bridging: CR, VGPR/PR,
    SD/PD therapy_before_cart                         -> bridging_therapy pfs, status (days, 1 = progression
    or death) -> progression_free_months, progressed_or_died os, death (days)                            ->
    overall_survival_months, died time_apheresis_cart (days)                  -> apheresis_to_infusion_days
    OOS_binary, crs_grade                       -> out_of_specification, cytokine_release_syndrome_grade

Months are days / 30.417, as in the authors' code. Only infused patients are in the table: losses before
infusion cannot be seen in it, the follow-up is short, and time 0 is the infusion.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from cartsight.core.errors import InputError, nearest

DAYS_PER_MONTH = 30.417
SHEET = "clin_data"
_RESPONSES = {
    "nCR": "CR",
    "CR": "CR",
    "VGPR": "VGPR/PR",
    "PR": "VGPR/PR",
    "VGPR/PR": "VGPR/PR",
    "SD": "SD/PD",
    "PD": "SD/PD",
    "SD/PD": "SD/PD",
}
_PRODUCTS = {"a": "ide-cel", "c": "cilta-cel", "ide-cel": "ide-cel", "cilta-cel": "cilta-cel"}
_SEXES = {"m": "male", "w": "female", "f": "female", "male": "male", "female": "female"}
_REQUIRED = ("patient_id", "status_before_cart", "pfs", "status", "os", "death")


def read_bcma_cohort(path: Path | str) -> pd.DataFrame:
    """Read the user's copy of the cohort into one typed row per patient.

    Parameters
    ----------
    path : path
        ``.xlsx`` (needs the extra ``cartsight[xlsx]``) or ``.csv``.

    Returns
    -------
    DataFrame
        Columns as in the module's documentation; optional ones are absent when the file lacks them.

    Raises
    ------
    InputError
        For a missing or unreadable file, a missing sheet or column, or values that are not understood.
    """
    file = Path(path)
    raw = _read(file)
    missing = [name for name in _REQUIRED if name not in raw.columns]
    if missing:
        raise InputError(
            "a column of the BCMA cohort is missing",
            file=file,
            field=missing[0],
            allowed=", ".join(_REQUIRED),
            hint=nearest(missing[0], [str(c) for c in raw.columns]),
        )
    out = pd.DataFrame({"patient_id": raw["patient_id"].astype(str)})
    product = "type_cart" if "type_cart" in raw.columns else "Product"
    if product in raw.columns:
        out["product"] = _mapped(raw, product, _PRODUCTS, file, lower=True)
    if "age_cart" in raw.columns:
        out["age_years"] = _numbers(raw, "age_cart", file)
    if "sex" in raw.columns:
        out["sex"] = _mapped(raw, "sex", _SEXES, file, lower=True)
    out["response_to_bridging"] = _mapped(raw, "status_before_cart", _RESPONSES, file)
    if "therapy_before_cart" in raw.columns:
        out["bridging_therapy"] = raw["therapy_before_cart"].astype(str)
    for days, name, event, event_name in (
        ("pfs", "progression_free_months", "status", "progressed_or_died"),
        ("os", "overall_survival_months", "death", "died"),
    ):
        out[name] = _numbers(raw, days, file) / DAYS_PER_MONTH
        indicator = _numbers(raw, event, file)
        if not indicator.isin([0, 1]).all():
            raise InputError("an event indicator is 0 or 1", file=file, field=event)
        out[event_name] = indicator == 1
    if "time_apheresis_cart" in raw.columns:
        out["apheresis_to_infusion_days"] = _numbers(raw, "time_apheresis_cart", file)
    if "OOS_binary" in raw.columns:
        out["out_of_specification"] = _numbers(raw, "OOS_binary", file) == 1
    if "crs_grade" in raw.columns:
        grades = raw["crs_grade"].astype(str).map(lambda cell: re.sub(r"\D", "", cell.split(".")[0]) or "0")
        out["cytokine_release_syndrome_grade"] = grades.astype(int)
    return out


def _read(file: Path) -> Any:
    if not file.is_file():
        raise InputError("no such file", file=file)
    kind = file.suffix.lower()
    try:
        if kind == ".xlsx":
            return pd.read_excel(file, sheet_name=SHEET)
        if kind == ".csv":
            return pd.read_csv(file)
    except ImportError:
        raise InputError(
            "reading .xlsx needs openpyxl",
            file=file,
            hint="Install cartsight[xlsx], or export the sheet as CSV",
        ) from None
    except (ValueError, OSError, KeyError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InputError(
            f"the file cannot be read as the BCMA cohort: {error}",
            file=file,
            allowed=f"a workbook with the sheet {SHEET}, or its CSV export",
        ) from None
    except Exception as error:
        # A broken workbook surfaces as zipfile.BadZipFile or openpyxl's own exceptions, which are not
        # imported here.
        if type(error).__module__.split(".")[0] not in {"zipfile", "openpyxl", "xml"}:
            raise
        raise InputError("the file is not an Excel workbook", file=file) from None
    raise InputError(
        "unknown file type",
        file=file,
        found=kind,
        allowed=".xlsx, .csv (an .RDS file: export clin_data as CSV first)",
    )


def _numbers(raw: Any, column: str, file: Path) -> Any:
    values = pd.to_numeric(raw[column], errors="coerce")
    bad = values.isna()
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise InputError(
            "a number is missing or not a number",
            file=file,
            line=row + 2,
            field=column,
            found=str(raw[column].iloc[row]),
        )
    return values.astype(float)


def _mapped(raw: Any, column: str, words: dict[str, str], file: Path, *, lower: bool = False) -> Any:
    text = raw[column].astype(str).str.strip()
    text = text.str.lower() if lower else text
    unknown = ~text.isin(list(words))
    if unknown.any():
        row = int(unknown.to_numpy().argmax())
        raise InputError(
            "a value is not understood",
            file=file,
            line=row + 2,
            field=column,
            found=str(raw[column].iloc[row]),
            allowed=", ".join(words),
        )
    return text.map(words)
