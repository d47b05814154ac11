"""Study 1A: manufacturing models, vector supply and donor variability, several processes for one product.

cartsight study 1A --output study-1a
"""

from __future__ import annotations

import time

from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.studies.answers import Progress, Study, StudyResult
from cartsight.studies.autologous_manufacturing import volumes
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
    numbers = read_numbers()
    answers = (
        volumes.manufacturing_models(scenario, parameters, draw_study_numbers(numbers, count, used, CODE), tell),
    )
    return StudyResult(
        code=CODE,
        title=TITLE,
        summary="",
        scenario=scenario.name,
        money=scenario.analysis.money,
        seed=used,
        draws=count,
        answers=answers,
        assumptions=volumes.ASSUMPTIONS + stated_assumptions(numbers),
        sources=(),
        seconds=time.perf_counter() - started,
    )


STUDY = Study(CODE, TITLE, (volumes.QUESTION,), run)
