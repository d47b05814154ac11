"""Bad scenario files and bad arguments: one message that names the place, exit code 2, never a traceback."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cartsight.__main__ import main
from cartsight.scenario import load_scenario, shipped_scenarios

LBCL = shipped_scenarios()["lbcl-third-line-us"].read_text(encoding="utf-8")
CHILD = 'extends = "lbcl-third-line-us"\nname = "mine"\n'
FAILURE = "[arms.autologous-central.process]\nmanufacturing_failure = "
RATES = r"(referrals_per_year = \{ value = )\d+"

Complain = Callable[..., str]


@pytest.fixture
def complain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complain:
    """Return a function that runs `cartsight check` on a text and returns the one message of exit code 2."""
    monkeypatch.chdir(tmp_path)

    def run(text: str | bytes | None, *arguments: str) -> str:
        if text is not None:
            Path("mine.toml").write_bytes(text.encode() if isinstance(text, str) else text)
        monkeypatch.setattr(sys, "argv", ["cartsight", *(arguments or ("check", "mine.toml"))])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("cartsight: ")
        assert printed.err.count("\n") == 1
        return printed.err

    return run


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing field"),
        (bytes(range(256)), "not UTF-8"),
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("[" + ".".join(["a"] * 3000) + "]\nx = 1", "nested too deeply"),
        ("a = " + "9" * 5000, "not valid TOML"),
        (CHILD + "name = 'again'", "not valid TOML"),
        (CHILD + "arms = [1]", "arms: this is a table"),
        (CHILD + "[arms.new]\nlabel = 'x'", "an arm needs a modality; allowed: allogeneic, autologous"),
        (CHILD + "[arms.autologous-centrl.collection]\nbeds_per_hospital = 3", "Did you mean 'autologous-central'?"),
        (CHILD + "[arms.new]\nmodality = 'autologus'", "Did you mean 'autologous'?"),
        (CHILD + "[arms]\nautologous-centra = { remove = true }", "Did you mean 'autologous-central'?"),
        (CHILD + "[arms.'a.b']\nlabel = 'x'", "cannot be a name"),
        (CHILD + "[analysis]\nreference_arm = 'zzz'", "mine.toml:4: analysis.reference_arm: unknown arm 'zzz'"),
        (CHILD + "[analysis]\ndraws = true", "mine.toml:4: analysis.draws: input should be a number; found True"),
        (CHILD + "[analysis]\nwillingness_to_pay = ['50000']", "analysis.willingness_to_pay: input should be a number"),
        (CHILD + FAILURE + "0.2", "a number says where it comes from; found 0.2"),
        (CHILD + FAILURE + "{}", "exactly one origin"),
        (CHILD + FAILURE + '{ low = 0.1, high = 0.2, interval = "range" }', "exactly one origin"),
        (
            CHILD + FAILURE + '{ value = "0.2", unit = "probability", assumed = "because" }',
            "mine.toml:4: arms.autologous-central.process.manufacturing_failure.value: input should be a number; found '0.2'",
        ),
        (
            CHILD + FAILURE + '{ value = 0.2, unit = "probability", assumed = "because", relative_sd = 0.3 }',
            "spread_reason",
        ),
        (
            CHILD + FAILURE + '{ same_as = "arms.autologous-point-of-care.process.manufacturing_failur" }',
            "Did you mean 'arms.autologous-point-of-care.process.manufacturing_failure'?",
        ),
        ('extends = ""\nname = "mine"', "mine.toml:1: extends"),
    ],
)
def test_a_slip_in_a_file(complain: Complain, text: str | bytes, words: str) -> None:
    assert words in complain(text)


@pytest.mark.parametrize(
    ("pattern", "new", "words"),
    [
        (RATES, r"\g<1>0", "too few referrals"),
        (RATES, r"\g<1>0.0001", "too few referrals"),
        (RATES, r"\g<1>1e12", "too many referrals"),
        ('life_table = "us"', 'life_table = "usa"', "no life table of this country and year; found 'usa 2019'"),
        ("year = 2019", "year = 1800", "no life table of this country and year; found 'us 1800'"),
        (
            r'second = "arms.autologous-point-of-care.efficacy.complete_response"',
            'second = "arms.autologous-central.efficacy.complete_response"',
            "cannot be correlated with itself",
        ),
        (r"(?m)^(  \{ first = .*\n)", r"\1\1", "are stated twice"),
    ],
)
def test_a_scenario_that_cannot_be(complain: Complain, pattern: str, new: str, words: str) -> None:
    changed = re.sub(pattern, new, LBCL)
    assert changed != LBCL
    message = complain(changed)
    assert words in message
    assert "mine.toml" in message


@pytest.mark.parametrize("name", ["a" * 5000, "a\x00b", "", "."])
def test_a_name_that_no_file_has(complain: Complain, name: str) -> None:
    complain(None, "check", name)


def test_a_region_without_referrals_sends_nobody(tmp_path: Path) -> None:
    from cartsight.simulation.pathways.patients import generate_patients, observation_window

    path = tmp_path / "mine.toml"
    path.write_text(LBCL.replace("value = 320", "value = 0"), encoding="utf-8")
    scenario = load_scenario(path)
    patients = generate_patients(scenario, 1, observation_window(scenario))
    assert set(patients.region.tolist()) == {1, 2, 3}
    assert patients.hospital.min() >= 7


@pytest.mark.parametrize("command", ["compare", "run"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--patients", "1"], "analysis.patients: input should be greater than or equal to 50; found 1"),
        (["--seed", "-1"], "analysis.seed: input should be greater than or equal to 0; found -1"),
        (["--output", "a" * 300], "--output: cannot be written"),
    ],
)
def test_a_bad_option_shows_before_anything_runs(
    complain: Complain, command: str, words: list[str], message: str
) -> None:
    assert message in complain(None, command, "lbcl-third-line-us", *words)


@pytest.mark.parametrize("words", [["check", "lbcl-third-line-us", "--seed", "-1"], ["schema", "--output", "."]])
def test_a_bad_option_elsewhere(complain: Complain, words: list[str]) -> None:
    complain(None, *words)
