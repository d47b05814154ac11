"""Study 4A: potency as a matrix, process analytics as early warning, portable data between laboratories.

cartsight study 4A --output study-4a
"""

from __future__ import annotations

import time

from cartsight.scenario import load_scenario
from cartsight.studies.answers import Progress, Study, StudyResult
from cartsight.studies.quality import matrix, monitoring, portability
from cartsight.studies.quality.patients import SCENARIO, worlds

CODE, TITLE = "4A", "Quality: potency matrices, process analytics, portable data"
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
    scenario = load_scenario(SCENARIO)
    used = scenario.analysis.seed if seed is None else seed
    count = DRAWS if draws is None else draws
    study = worlds(count, used)
    answers = (
        matrix.potency_matrix(study, used, tell),
        monitoring.process_monitoring(study, used, tell),
        portability.portability(study, used, tell),
    )
    return StudyResult(
        code=CODE,
        title=TITLE,
        summary=(
            "The central plant of the third-line lymphoma scenario, its failures derived from a release specification instead of a flat "
            "probability: nested variances, assay error, retest, sterility. Intervals are 95 % over draws of the scenario's parameters and "
            "of the specification's variances together, on the same patients and lots within a draw."
        ),
        scenario=scenario.name,
        money=scenario.analysis.money,
        seed=used,
        draws=count,
        answers=answers,
        assumptions=matrix.ASSUMPTIONS + monitoring.ASSUMPTIONS + portability.ASSUMPTIONS,
        sources=(
            "Release model and its file: docs/method/lot_release.md; process analytics: docs/method/process_analytics.md",
            "Evidence rows named Q...: cartsight evidence, table quality; every number of the scenario: cartsight cite lbcl-third-line-us",
            "Dependent correlations: Steiger 1980, doi:10.1037/0033-2909.87.2.245",
        ),
        seconds=time.perf_counter() - started,
    )


STUDY = Study(CODE, TITLE, (matrix.QUESTION, monitoring.QUESTION, portability.QUESTION), run)
