"""Study 3C: agreements, one-time therapies under the rules of payers, earlier lines and larger populations.

cartsight study 3C --output study-3c
"""

from __future__ import annotations

import time
from pathlib import Path

from cartsight.scenario import load_scenario
from cartsight.studies.answers import Progress, Study, StudyResult
from cartsight.studies.commercial_models import agreements, larger, verdict
from cartsight.studies.commercial_models.patients import PRODUCT, study_patients

CODE, TITLE = "3C", "Commercial models: agreements, value of a one-time therapy, larger populations"
SCENARIO = Path(__file__).parent / "scenario.toml"


def run(*, seed: int | None = None, draws: int | None = None, progress: Progress | None = None) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    seed, draws : int, optional
        Replace those of the study's scenario.
    progress : callable, optional
        Called with (stage, done, in all).
    """
    started = time.perf_counter()
    tell = progress or (lambda stage, done, total: None)
    scenario = load_scenario(SCENARIO)
    used = scenario.analysis.seed if seed is None else seed
    count = scenario.analysis.draws if draws is None else draws
    study = study_patients(scenario, used, count, tell)
    answers = (
        agreements.agreements(study, tell),
        verdict.verdicts(study, tell),
        larger.larger_populations(study, tell),
    )
    label = scenario.arms[PRODUCT].label
    return StudyResult(
        code=CODE,
        title=TITLE,
        summary=(
            f"One product ({label}, {study.base.price[PRODUCT]:,.0f} USD) in third-line large B-cell lymphoma, followed from "
            "referral. Values are those at the point values of all numbers, intervals are 95 % over parameter draws on the same "
            "patients unless they say otherwise; where the uncertainty of a cost is skewed a value may lie off the middle."
        ),
        scenario=scenario.name,
        money=scenario.analysis.money,
        seed=used,
        draws=count,
        answers=answers,
        assumptions=agreements.ASSUMPTIONS + verdict.ASSUMPTIONS + larger.ASSUMPTIONS,
        sources=(
            "Contracts: docs/method/contracts.md; every number of the scenario: cartsight cite lbcl-third-line-us",
            "Severity weights: NICE manual PMG36 (2022)",
            "Shared savings: ICER, adaptations for single and short-term therapies (2019); fraction and cap unverified",
            *larger.precedents(),
        ),
        seconds=time.perf_counter() - started,
    )


STUDY = Study(CODE, TITLE, (agreements.QUESTION, verdict.QUESTION, larger.QUESTION), run)
