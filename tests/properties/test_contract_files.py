"""Any single value of a contract file may be nonsense: it works, or it is refused in words."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.core.errors import InputError
from cartsight.economics.contracts import CurvePatients, evaluate_contract, load_contract, shipped_contracts
from cartsight.economics.contracts.contract_file import read_contract

EVERYTHING = tomllib.loads(
    """
price = 100
discount_rate = 0.03
manufacturer_discount_rate = 0.08
clause = [
  { kind = "up_front", share = 0.4 },
  { kind = "milestone", share = 0.1, month = 12, window_months = 3, missing_data = "last" },
  { kind = "annuity", share = 0.3, payments = 4, interval_months = 6, first_month = 1, stop_on = "relapse" },
  { kind = "warranty", share = 0.2, until_month = 24, declining = true, visit_every_months = 3 },
  { kind = "refund", amount = 3, month = 6, endpoint = "survival" },
  { kind = "price_volume", tiers = [{ above = 20, rebate = 0.1 }, { above = 50, rebate = 0.2 }], cap_per_year = 600 },
  { kind = "subscription", amount_per_year = 100, patients_per_year = 50, volume_ratio = 0.9 },
  { kind = "pooled_failure", threshold = 0.3, month = 12, share = 0.1, basis = "all" },
  { kind = "free_remake", free = 1, share = 0.2 },
  { kind = "out_of_specification", share = 0.3 },
  { kind = "flat_rebate", share = 0.1 },
]
curve = { law = "weibull", shape = 0.9, median_months = 8, cured = 0.4 }
survival_curve = { months = [12, 36], share = [0.9, 0.8] }
patients = { out_of_specification = 0.05, remake = 0.1, trial_patients = 100 }
assessment = { sensitivity = 0.95, specificity = 0.9, payment_delay_months = 1 }
follow_up = { lost_per_year = 0.1 }
turnover = { leaves_per_year = 0.12, rule = "lump_sum", lump_sum_share = 0.9 }
administration = { set_up_cost = 500, cost_per_patient_year = 1, months = 24, paid_by = "firm" }
default = { manufacturer_per_year = 0.02, payer_per_year = 0.01, recovery = 0.3 }
indexation = { per_year = 0.02 }
registry = { value_of_success = 150, month = 12, registry_patients = 20, future_patients = 100 }
risk = { aversion = 2 }
pool = { patients = 8, years = 2, start_year = 2026 }
simulation = { patients = 64, seed = 4 }
source = [{ says = "x", evidence = "EC107", confidence = "low" }]
"""
)
NONSENSE: tuple[Any, ...] = (
    -1, 0, 1, 0.5, 3.7, 1e-12, 1e12, float("nan"), float("inf"), True, "x", "", [], [1], [[1, 2]], {}, {"a": 1},
)  # fmt: skip


def _leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(node, dict):
        return [path, *(leaf for key, item in node.items() for leaf in _leaves(item, (*path, key)))]
    if isinstance(node, list):
        return [path, *(leaf for key, item in enumerate(node) for leaf in _leaves(item, (*path, key)))]
    return [path]


PATHS = [path for path in _leaves(EVERYTHING) if path]


def _with(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy(EVERYTHING)
    node: Any = document
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return document


def _run(document: dict[str, Any]) -> None:
    read = read_contract(document, Path("contract.toml"))
    assert read.patients is None or isinstance(read.patients, CurvePatients)
    if read.patients is not None:
        evaluate_contract(
            read.contract,
            read.patients,
            patients=40,
            pool_patients=min(read.pool_patients, 40),
            pool_years=read.pool_years,
            trial_patients=read.trial_patients,
            risk_aversion=read.risk_aversion,
            cohort_sizes=(3,),
            question=read.registry,
        )


def test_the_document_works() -> None:
    _run(_with(PATHS[0], EVERYTHING[PATHS[0][0]]))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PATHS), st.sampled_from(NONSENSE))
def test_nonsense_works_or_is_refused(path: tuple[Any, ...], value: Any) -> None:
    try:
        _run(_with(path, value))
    except InputError as error:
        assert error.problem


@pytest.mark.parametrize("name", sorted(shipped_contracts()))
def test_a_shipped_file_in_other_letters_is_refused(name: str, tmp_path: Path) -> None:
    text = shipped_contracts()[name].read_text(encoding="utf-8")
    path = tmp_path / "changed.toml"
    path.write_text(text.replace("price =", "prise ="), encoding="utf-8")
    with pytest.raises(InputError, match="prise"):
        load_contract(path)


def test_misspelt_size_is_named_rather_than_missing(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    path.write_text(
        'name = "x"\nprice = 1000\n[[clause]]\nkind = "milestone"\nshar = 0.5\nmonth = 12\n'
        "[curve]\ncured = 0.4\nrate_per_year = 1.0\n"
    )
    with pytest.raises(InputError, match="unknown key") as refused:
        load_contract(path)
    assert refused.value.found == "shar"
    assert "share" in (refused.value.hint or "")


def test_points_may_start_with_everybody_at_time_zero(tmp_path: Path) -> None:
    curves = []
    for points in ("months = [12, 24]\nshare = [0.75, 0.5]", "months = [0, 12, 24]\nshare = [1.0, 0.75, 0.5]"):
        path = tmp_path / "contract.toml"
        path.write_text(f'price = 1000\n[[clause]]\nkind = "up_front"\n[curve]\n{points}\n')
        patients = load_contract(path).patients
        assert isinstance(patients, CurvePatients)
        curves.append(patients.remission)
    assert curves[0] == curves[1]
    path.write_text('price = 1000\n[[clause]]\nkind = "up_front"\n[curve]\nmonths = [0, 12]\nshare = [0.9, 0.5]\n')
    with pytest.raises(InputError, match="times must increase"):
        load_contract(path)
