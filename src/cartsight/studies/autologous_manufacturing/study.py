"""Study 1A: manufacturing models, vector supply and donor variability, several processes for one product.

cartsight study 1A --output study-1a
"""

from __future__ import annotations

import time

from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.studies.answers import Progress, Study, StudyResult
from cartsight.studies.autologous_manufacturing import levers, processes, volumes
from cartsight.studies.autologous_manufacturing.networks import base_scenario
from cartsight.studies.autologous_manufacturing.numbers import read_numbers
from cartsight.studies.study_numbers import draw_study_numbers, stated_assumptions

CODE, TITLE = "1A", "Autologous manufacturing: where, how supplied, by how many processes"
DRAWS = 24


def run(*, seed: int | None = None, draws: int | None = None, progress: Progress | None = None) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    seed, draws : int, optional
        Replace those of the study.
    progress : callable, optional
        Called with (stage, done, in all).
    """
    started = time.perf_counter()
    tell = progress or (lambda stage, done, total: None)
    scenario = base_scenario()
    used = scenario.analysis.seed if seed is None else seed
    count = DRAWS if draws is None else draws
    parameters = draw_parameters(scenario, count, used)
    numbers = read_numbers(scenario.analysis.money)
    networks = volumes.manufacturing_models(scenario, parameters, draw_study_numbers(numbers, count, used, CODE), tell)
    supply, lever_numbers = levers.supply_and_donors(count, used, tell)
    answers = (networks, supply, processes.two_processes(count, used, tell))
    return StudyResult(
        code=CODE,
        title=TITLE,
        summary=(
            "An autologous CD19 product in third-line large B-cell lymphoma, from referral to infusion and outcome, with the cost of the product "
            "taken as what making it costs. Values are means over parameter draws and intervals 95 % of them, on the same patients and lots for "
            "every design within a draw; plants are planned anew in every draw, so an interval is what is not known about the world and not "
            "the error of a plan."
        ),
        scenario=scenario.name,
        money=scenario.analysis.money,
        seed=used,
        draws=count,
        answers=answers,
        assumptions=(
            volumes.ASSUMPTIONS
            + levers.ASSUMPTIONS
            + processes.ASSUMPTIONS
            + stated_assumptions(numbers)
            + stated_assumptions(lever_numbers)
        ),
        sources=(
            "Square-root staffing: Halfin & Whitt 1981, Operations Research 29:567, doi:10.1287/opre.29.3.567",
            "Shapley values of levers: docs/method/plant_floor.md and cartsight.studies.factorial",
            "Process, plant and supply numbers: the study's supply.toml, processes.toml and numbers.toml; every number of the scenario: "
            "cartsight cite lbcl-third-line-us",
        ),
        seconds=time.perf_counter() - started,
    )


STUDY = Study(CODE, TITLE, (volumes.QUESTION, levers.QUESTION, processes.QUESTION), run)
