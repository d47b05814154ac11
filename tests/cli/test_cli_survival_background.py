"""`cartsight survival fit --life-table`: the same as columns made by hand from that table, and one message for a slip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError
from cartsight.evidence.life_tables import life_table

TABLE = ("--life-table", "us-2019", "--age", "age", "--sex", "sex")


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["survival", "fit", *arguments, "--quiet"])


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mean age 75, 40 % without excess hazard, the others with a mean of 6 months; background as in the table."""
    rng = np.random.default_rng(5)
    n = 400
    age, woman = rng.uniform(65.0, 85.0, n), rng.random(n) < 0.5
    life = life_table("us", 2019)
    natural = 12.0 * life.sample_death_time(rng.random(n), age, woman)
    event = np.minimum(natural, np.where(rng.random(n) < 0.4, np.inf, rng.exponential(6.0, n)))
    stop = rng.uniform(48.0, 96.0, n)
    time, died = np.minimum(event, stop), event <= stop
    later = age + time / 12.0
    rate = life.annual_hazard(later, woman) / 12.0
    total = -np.log(life.survival(age, woman, time / 12.0))
    path = tmp_path_factory.mktemp("trial") / "trial.csv"
    columns = zip(time, died, age, np.where(woman, "F", "M"), rate, total, strict=True)
    path.write_text(
        "months,died,age,sex,rate,total\n"
        + "".join(f"{t!r},{int(d)},{a!r},{s},{h!r},{c!r}\n" for t, d, a, s, h, c in _plain(columns))
    )
    return path


def _plain(rows: Any) -> list[tuple[Any, ...]]:
    return [tuple(value.item() if hasattr(value, "item") else value for value in row) for row in rows]


def test_table_is_what_columns_by_hand_are(trial: Path) -> None:
    models = ("--models", "mixture_cure_exponential", "--smr", "1.3", "--json")
    by_table = json.loads(call(str(trial), *models, *TABLE).stdout)
    columns = ("--background-hazard", "rate", "--background-cumulative", "total")
    by_hand = json.loads(call(str(trial), *models, *columns).stdout)
    first, second = (answer["groups"][0]["models"][0] for answer in (by_table, by_hand))
    assert first["loglik"] == pytest.approx(second["loglik"], rel=1e-9)
    assert first["parameters"] == pytest.approx(second["parameters"], rel=1e-5)
    assert any("net survival" in note for note in first["notes"])
    assert "life table 2019" in by_table["background"]


def test_cured_are_those_without_excess_hazard(trial: Path) -> None:
    arguments = (str(trial), "--models", "mixture_cure_exponential", "--json")
    with_table, without = (
        json.loads(call(*arguments, *extra).stdout)["groups"][0]["models"][0] for extra in (TABLE, ())
    )
    low, high = with_table["cure_fraction_interval"]
    assert low < 0.4 < high
    # All-cause "cure" of people of 75 leaves out those of the cured who have died since.
    assert without["cure_fraction_interval"][1] < 0.4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--life-table", "us-1900", "--age", "age", "--sex", "sex"), "no such life table"),
        (("--life-table", "us-2019", "--age", "age"), "age and sex"),
        (("--life-table", "us-2019", "--age", "age", "--sex", "died", "--time", "rate"), "unit of time"),
        (("--life-table", "us-2019", "--age", "age", "--sex", "age"), "unknown sex"),
        (("--life-table", "us-2019", "--age", "total", "--sex", "sex", "--background-hazard", "rate",
          "--background-cumulative", "total"), "state the background once"),
    ],
)  # fmt: skip
def test_slips(trial: Path, arguments: tuple[str, ...], words: str) -> None:
    problem = call(str(trial), "--models", "weibull", *arguments).exception
    assert isinstance(problem, InputError)
    assert words in str(problem)
