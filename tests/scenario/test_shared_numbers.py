"""`same_as`: one number, one draw, in several places of a scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from cartsight.core.errors import InputError
from cartsight.scenario import load_scenario
from cartsight.scenario.shared_numbers import resolve_shared

LEADER = "arms.autologous-central.long_term.utility_remission"
FOLLOWER = "arms.allogeneic-donor.long_term.utility_remission"


def child(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "child.toml"
    path.write_text('extends = "lbcl-third-line-us"\nname = "child"\n' + text, encoding="utf-8")
    return path


def test_a_follower_has_the_value_and_no_entry_of_its_own() -> None:
    scenario = load_scenario("lbcl-third-line-us")
    numbers = scenario.numbers()
    assert LEADER in numbers and FOLLOWER not in numbers
    follower = scenario.arms["allogeneic-donor"].long_term.utility_remission  # type: ignore[union-attr]
    assert follower.x == numbers[LEADER].x
    assert follower.same_as == LEADER


@pytest.mark.parametrize("known", [True, False])
def test_a_draw_moves_leader_and_followers(known: bool) -> None:
    moved = load_scenario("lbcl-third-line-us").with_values({LEADER: 0.61}, known=known)
    values = {
        arm.long_term.utility_remission.x  # type: ignore[union-attr]
        for name, arm in moved.arms.items()
        if name != "other-care"
    }
    assert values == {0.61}


def test_a_follower_can_be_set_apart() -> None:
    moved = load_scenario("lbcl-third-line-us").with_values({LEADER: 0.61, FOLLOWER: 0.5})
    assert moved.arms["allogeneic-donor"].long_term.utility_remission.x == 0.5  # type: ignore[union-attr]


def test_a_child_file_changes_the_number_everywhere(tmp_path: Path) -> None:
    path = child(
        tmp_path,
        "[arms.autologous-central.long_term]\n"
        'utility_remission = { value = 0.8, unit = "utility", assumed = "a test", certain = "a test" }\n',
    )
    assert load_scenario(path).arms["allogeneic-donor"].long_term.utility_remission.x == 0.8  # type: ignore[union-attr]


def test_a_child_file_can_replace_a_follower(tmp_path: Path) -> None:
    path = child(
        tmp_path,
        "[arms.allogeneic-donor.long_term]\n"
        'utility_remission = { value = 0.7, unit = "utility", assumed = "a test", certain = "a test" }\n',
    )
    scenario = load_scenario(path)
    assert scenario.numbers()[FOLLOWER].x == 0.7
    assert scenario.numbers()[LEADER].x == 0.73


def test_an_unknown_path_is_one_message_with_line_and_nearest_name(tmp_path: Path) -> None:
    path = child(
        tmp_path,
        "[arms.allogeneic-donor.long_term]\n"
        'utility_remission = { same_as = "arms.autologous-central.long_term.utility_remision" }\n',
    )
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    assert caught.value.field == FOLLOWER
    assert caught.value.line == 4
    assert "utility_remission" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"a": {"same_as": "b"}, "b": {"same_as": "a"}}, "circular"),
        ({"a": {"same_as": "a"}}, "circular"),
        ({"a": {"same_as": 3}}, "field path"),
        ({"a": {"same_as": "b", "low": 1}, "b": {"value": 1}}, "alone"),
        ({"a": {"same_as": "b"}, "b": {"c": {"value": 1}}}, "section"),
        ({"a": {"same_as": "b"}, "b": "text"}, "section"),
        ({"a": {"same_as": "b.c"}, "b": "text"}, "no number"),
    ],
)
def test_slips_are_refused(raw: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        resolve_shared(raw)


def test_a_chain_ends_at_its_first_number() -> None:
    raw = {"a": {"same_as": "b"}, "b": {"same_as": "c"}, "c": {"value": 1, "unit": "ratio"}}
    assert resolve_shared(raw)["a"] == {"value": 1, "unit": "ratio", "same_as": "c"}
