"""Bad input: one message with file, line, field path, what was found, what is allowed and the nearest name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from cartsight.core.errors import InputError
from cartsight.scenario import load_scenario, validate
from tests.scenario_builder import build, minimal_scenario, number, probability

FILE = Path("case.toml")


def message(raw: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        validate(raw, FILE)
    return str(caught.value)


def set_at(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    node = raw
    *parents, leaf = path.split(".")
    for part in parents:
        node = node[part]
    node[leaf] = value
    return raw


def test_the_minimal_scenario_is_valid_and_every_number_has_an_origin() -> None:
    scenario = build(minimal_scenario())
    numbers = scenario.numbers()
    assert len(numbers) > 60
    assert all(n.quantity.provenance.statement for n in numbers.values())


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("population.frailty_ds", 1, ["population.frailty_ds", "unknown field", "Did you mean 'frailty_sd'"]),
        ("population.female", number(0.4, "days"), ["population.female", "cannot be used", "probability"]),
        ("population.female", probability(1.4), ["population.female", "out of bounds", "0 to 1"]),
        ("population.age", number(-60.0, "years", law="normal", cv=0.2), ["population.age", "out of bounds"]),
        ("population.female", probability(math.nan), ["population.female.value", "finite"]),
        ("population.female", {"value": 0.4, "unit": "probability"}, ["population.female", "exactly one origin"]),
        ("population.female", {"evidence": "EC0001x"}, ["population.female", "EC0001x"]),
        ("population.female", number(0.4, "probabilty"), ["unknown unit", "Did you mean 'probability'"]),
        ("population.regions.north.hospitals", 0, ["population.regions.north.hospitals", "greater than or equal to 1"]),
        ("care_pathway.infusion_bed.beds_per_hospital", 0, ["beds_per_hospital", "greater than or equal to 1"]),
        ("analysis.reference_arm", "autologus", ["unknown arm 'autologus'", "Did you mean 'autologous'"]),
        ("analysis.money", "usd", ["price year"]),
        ("analysis.discount_rate_costs", 3.0, ["analysis.discount_rate_costs", "less than or equal to 0.2"]),
        ("arms.autologous.modality", "autologos", ["arms.autologous", "autologos"]),
        ("name", "My Case", ["name"]),
    ],
)
def test_each_slip_has_its_own_message(path: str, value: Any, expected: list[str]) -> None:
    text = message(set_at(minimal_scenario(), path, value))
    assert text.startswith("case.toml")
    for part in expected:
        assert part in text, text
    assert "\n" not in text


def test_an_arm_without_efficacy() -> None:
    raw = minimal_scenario()
    del raw["arms"]["autologous"]["efficacy"]
    assert "arms.autologous.efficacy: missing field" in message(raw)


def test_an_unknown_field_in_an_arm_names_the_nearest() -> None:
    raw = minimal_scenario()
    raw["arms"]["autologous"]["proces"] = raw["arms"]["autologous"].pop("process")
    assert "Did you mean 'process'" in message(raw)


def test_an_interval_needs_its_meaning_and_must_hold_the_value() -> None:
    raw = set_at(minimal_scenario(), "population.female", probability(0.4, low=0.3, high=0.5))
    assert "interval" in message(raw)
    raw = set_at(minimal_scenario(), "population.female", probability(0.4, low=0.5, high=0.6, interval="range"))
    assert "inside its interval" in message(raw)
    raw = set_at(minimal_scenario(), "population.female", probability(0.4, events=10, of=100))
    assert "disagree" in message(raw)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_files_that_are_not_scenarios(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such scenario"):
        load_scenario(tmp_path / "absent.toml")
    with pytest.raises(InputError, match="not valid TOML"):
        load_scenario(write(tmp_path, "broken.toml", "a = = 1"))
    bad = tmp_path / "latin.toml"
    bad.write_bytes("título = 1".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        load_scenario(bad)
    with pytest.raises(InputError, match="folder"):
        load_scenario(tmp_path)


def test_a_very_large_file_is_refused_unread(tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    with large.open("wb") as handle:
        handle.truncate(100_000_000)
    with pytest.raises(InputError, match="too large"):
        load_scenario(large)


def test_circular_extends(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", 'extends = "b.toml"\n')
    write(tmp_path, "b.toml", 'extends = "a.toml"\n')
    with pytest.raises(InputError, match=r"circular extends.*a\.toml -> b\.toml -> a\.toml"):
        load_scenario(tmp_path / "a.toml")


def test_an_error_names_the_line_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "child.toml", 'extends = "lbcl-third-line-us"\nname = "child"\n\n[analysis]\nseeed = 3\n')
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    assert "child.toml:5: analysis.seeed: unknown field" in str(caught.value)
    assert "Did you mean 'seed'" in str(caught.value)


def test_a_child_changes_one_number_and_keeps_the_rest(tmp_path: Path) -> None:
    parent = load_scenario("lbcl-third-line-us")
    path = write(
        tmp_path,
        "child.toml",
        'extends = "lbcl-third-line-us"\nname = "child"\n[population]\n'
        'female = { value = 0.5, unit = "probability", assumed = "half of them" }\n',
    )
    child = load_scenario(path)
    assert child.numbers()["population.female"].x == 0.5
    assert child.numbers().keys() == parent.numbers().keys()
    assert child.content_hash() != parent.content_hash()
