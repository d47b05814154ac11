"""Study 1B: batch size of two cell sources, one lot for many sites, and the price of durability.

cartsight study 1B --output study-1b
"""

from __future__ import annotations

import time

from cartsight.scenario import load_scenario
from cartsight.studies.allogeneic_manufacturing import batch_size, durability, many_sites
from cartsight.studies.allogeneic_manufacturing.numbers import read_numbers
from cartsight.studies.answers import Progress, Study, StudyResult
from cartsight.studies.study_numbers import draw_study_numbers, stated_assumptions

CODE, TITLE = "1B", "Allogeneic manufacturing: batch size, one lot for many sites, durability"
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
    scenario = load_scenario(many_sites.SCENARIO)
    used = scenario.analysis.seed if seed is None else seed
    count = DRAWS if draws is None else draws
    numbers = read_numbers(scenario.analysis.money)
    answers = (
        batch_size.batch_size(draw_study_numbers(numbers, count, used, CODE), scenario.analysis.money, tell),
        many_sites.many_sites(count, used, tell),
        durability.durability(count, used, tell),
    )
    return StudyResult(
        code=CODE,
        title=TITLE,
        summary=(
            "Donor-derived and iPSC-derived cells for third-line large B-cell lymphoma. Lots are built up from donors, culture, edits and "
            "fill, wait in stock and reach patients from referral to outcome; the product costs what making it costs. Values are means over "
            "parameter draws in the first question and medians in the others, intervals 95 % of them, on the same patients and lots for every design within a draw."
        ),
        scenario=scenario.name,
        money=scenario.analysis.money,
        seed=used,
        draws=count,
        answers=answers,
        assumptions=batch_size.ASSUMPTIONS
        + many_sites.ASSUMPTIONS
        + durability.ASSUMPTIONS
        + stated_assumptions(numbers),
        sources=(
            "Lots: docs/method/lot_floor.md; cost of a used dose: cartsight.economics.lot_sizing; sampling plans: binomial operating "
            "characteristic, cartsight.evidence.quality.acceptance_sampling",
            "Every number of the scenario: cartsight cite on the study's scenario.toml; evidence gaps MFG117, MFG118 and MFG120 of table "
            "manufacturing",
        ),
        seconds=time.perf_counter() - started,
    )


STUDY = Study(CODE, TITLE, (batch_size.QUESTION, many_sites.QUESTION, durability.QUESTION), run)
