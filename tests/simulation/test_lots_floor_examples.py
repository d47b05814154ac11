"""The example files of docs/method/lot_floor.md load, pass the checks, run, and leave no field of the floor out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.arms import LotArm
from cartsight.scenario.lots import LotProcess
from cartsight.scenario.numbers import Number
from cartsight.simulation.pathways import check_arm, run_flow

PAGE = Path(__file__).parents[2] / "docs" / "method" / "lot_floor.md"


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the example files and return their paths."""
    folder = tmp_path_factory.mktemp("examples")
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names = ("lot_floor.toml", "lot_floor_ipsc.toml")
    assert len(blocks) == len(names)
    for name, block in zip(names, blocks, strict=True):
        (folder / name).write_text(block, encoding="utf-8")
    return {name: folder / name for name in names}


def lots_of(scenario: Scenario) -> list[LotProcess]:
    """Return the lot processes of a scenario."""
    return [arm.lots for arm in scenario.arms.values() if isinstance(arm, LotArm)]


def stated(node: Any, found: set[str]) -> None:
    """Collect "Model.field" of every field that holds something."""
    if isinstance(node, Number):
        return
    if isinstance(node, BaseModel):
        for name in type(node).model_fields:
            item = getattr(node, name)
            if item is not None and item != {} and item != ():
                found.add(f"{type(node).__name__}.{name}")
                stated(item, found)
    elif isinstance(node, dict):
        for item in node.values():
            stated(item, found)


def test_every_field_of_the_floor_is_in_an_example(examples: dict[str, Path]) -> None:
    found: set[str] = set()
    for path in examples.values():
        for lots in lots_of(load_scenario(path)):
            stated(lots, found)
    # Alternatives to fields that are used, and fields of other pages.
    other = {
        "LotProcess.doses_per_lot",
        "LotProcess.doses_per_lot_cv",
        "LotProcess.release_specification",
        "LotProcess.release_region",
        "Expansion.doublings",
        "FillLine.time",
        "DrugSubstance.mass_per_batch",
        "DrugSubstance.encapsulation",
        "Recall.probability",
        "LotPlant.operator_shifts",
    }
    from cartsight.scenario import bank, depots, drug_substance, expansion, fill, lots
    from cartsight.scenario.plant import LotPlant

    models = [
        item
        for module in (bank, depots, drug_substance, expansion, fill, lots)
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, BaseModel) and item.__module__ == module.__name__
    ] + [LotPlant]
    wanted = {
        f"{model.__name__}.{name}"
        for model in models
        if not issubclass(model, Number) and not model.__name__.endswith("Arm") and model.__name__ != "Redosing"
        for name in model.model_fields
    }
    assert wanted - found - other == set()


@pytest.mark.parametrize("name", ["lot_floor.toml", "lot_floor_ipsc.toml"])
def test_examples_pass_the_checks_and_every_draw_of_their_parameters_runs(examples: dict[str, Path], name: str) -> None:
    scenario = load_scenario(examples[name]).with_analysis(patients=200, warm_up_days=100)
    for arm in ("allogeneic-donor", "in-vivo-lentiviral"):
        assert all(load < 1 for load in check_arm(scenario, arm).offered.values())
        plant = run_flow(scenario, arm, 3).plant
        assert plant is not None
        assert plant.doses_taken > 0
        assert plant.counts["dose orders"] == plant.doses_taken
    draws = draw_parameters(scenario, 6, 11)
    for number in range(len(draws)):
        drawn = scenario.with_values(draws.at(number))
        for arm in ("allogeneic-donor", "in-vivo-lentiviral"):
            plant = run_flow(drawn, arm, 3).plant
            assert plant is not None
            assert plant.counts["dose orders"] == plant.doses_taken


def test_the_results_document_shows_stores_counts_and_metrics(examples: dict[str, Path]) -> None:
    done = CliRunner().invoke(
        app,
        ["run", str(examples["lot_floor.toml"]), "--arm", "allogeneic-donor", "--patients", "200", "--json", "--quiet"],
    )
    assert done.exit_code == 0, done.output
    text = done.stdout
    document = json.loads(text[text.index("{") :])
    plant = json.dumps(document)
    for words in ('"stores"', '"donors screened"', '"consignments to depots"', '"dose_fill_rate"'):
        assert words in plant
