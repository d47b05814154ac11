"""The parameter draws of a study, and its work on each of them, spread over the cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cartsight.comparison.executor import executor_for
from cartsight.comparison.parameter_draws import ParameterDraws, draw_parameters
from cartsight.scenario import Scenario
from cartsight.studies.answers import Progress

Block = TypeVar("Block")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ScenarioDraw:
    """A scenario at one parameter draw, and the seed of the draw's patients."""

    scenario: Scenario
    seed: int


def scenario_draws(scenario: Scenario, draws: int, seed: int) -> list[ScenarioDraw]:
    """Return the scenario at each of `draws` joint values of its uncertain numbers."""
    return at_draws(scenario, draw_parameters(scenario, draws, seed))


def at_draws(scenario: Scenario, parameters: ParameterDraws) -> list[ScenarioDraw]:
    """Return the scenario at each of the parameter draws."""
    return [
        ScenarioDraw(scenario.with_values(parameters.at(k), known=True), parameters.patient_seed(k))
        for k in range(len(parameters))
    ]


def over_blocks(
    run_block: Callable[[Block], Result], blocks: Sequence[Block], stage: str, progress: Progress
) -> list[Result]:
    """Return the result of each block, in order; `run_block` stands at the top of its module, for worker processes."""
    found = []
    for result in executor_for(None, len(blocks)).map_blocks(run_block, blocks):
        found.append(result)
        progress(stage, len(found), len(blocks))
    return found
