"""Study 1C: plants for in vivo CAR-T against demand, redosing and durability, tests to start now.

cartsight study 1C --output study-1c
"""

from __future__ import annotations

import time

from cartsight.comparison.conditional_expectation import FEWEST_DRAWS
from cartsight.studies.answers import Progress, Study, StudyResult
from cartsight.studies.in_vivo_manufacturing import analytics, designs, durability, simulated_supply, supply
from cartsight.studies.in_vivo_manufacturing.arms import PLATFORMS, run_platforms
from cartsight.studies.in_vivo_manufacturing.chain import make_chain
from cartsight.studies.in_vivo_manufacturing.plants import draw_plants, load_plants, patients_per_year, point_values
from cartsight.studies.study_numbers import stated_assumptions

CODE, TITLE = "1C", "In vivo manufacturing: plants against demand, redosing and durability, tests to start now"
PLANT_DRAWS = 4000
MAP_DRAWS, LEVER_DRAWS = 96, 32
AT_SCALE = 100_000
PATIENTS: int | None = None


def run(*, seed: int | None = None, draws: int | None = None, progress: Progress | None = None) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    seed, draws : int, optional
        Replace those of the study's scenarios. At least 40 draws are run: the value of information needs them. The map
        uses at most the first 96 and the levers the first 32.
    progress : callable, optional
        Called with (stage, done, in all).
    """
    started = time.perf_counter()
    tell = progress or (lambda stage, done, total: None)
    scenario = PLATFORMS[0].scenario()
    used = scenario.analysis.seed if seed is None else seed
    asked = scenario.analysis.draws if draws is None else draws
    count = max(asked, FEWEST_DRAWS)
    plants = load_plants()
    many = draw_plants(plants, max(PLANT_DRAWS, count), used)
    point = point_values(plants)
    simulated = simulated_supply.simulated_supplies(point, used, tell)
    runs = run_platforms(
        used, count, tell, map_draws=min(MAP_DRAWS, asked), lever_draws=min(LEVER_DRAWS, asked), patients=PATIENTS
    )
    values = draw_plants(plants, count, used)
    chains = {p.key: make_chain(p.key, values) for p in PLATFORMS}
    scale_cost = {key: chain.cost_per_dose(AT_SCALE, booked=True) for key, chain in chains.items()}
    eligible = patients_per_year(plants, point)
    money = scenario.analysis.money
    answers = (
        supply.plants_against_demand(
            plants, many, {p.key: make_chain(p.key, many) for p in PLATFORMS}, simulated, money
        ),
        durability.redosing_and_durability(runs, scale_cost, AT_SCALE),
        analytics.analytics_to_start(
            runs, scale_cost, values, {p.key: float(eligible[p.indication][0]) for p in PLATFORMS}, used, tell
        ),
    )
    return StudyResult(
        code=CODE,
        title=TITLE,
        summary=(
            "Two platforms beside the autologous arm of the same disease, all at cost: mRNA in lipid nanoparticles for refractory lupus and a "
            "lentiviral vector for late-line myeloma. The clinical evidence in vivo is five patients each: read the results as a map of what "
            "has to be true, not as a forecast. Plants are counted over "
            f"{len(many['mrna.dose']):,} draws of their own numbers, the arms simulated at {count} parameter draws of {runs[0].scenario.analysis.patients:,} patients, "
            f"the map at {min(MAP_DRAWS, asked)} and the levers at {min(LEVER_DRAWS, asked)} of them."
        ),
        scenario=" and ".join(r.scenario.name for r in runs),
        money=money,
        seed=used,
        draws=count,
        answers=answers,
        assumptions=(
            *simulated_supply.ASSUMPTIONS,
            *stated_assumptions(plants),
            *stated_assumptions(designs.load_analytics()),
        ),
        sources=(
            "Numbers of the scenarios: cartsight cite sle-refractory-us, cartsight cite myeloma-late-line-us",
            "RNA drug substance is mostly a matter of mass per dose, and filling can be the bottleneck: Kis, Kontoravdi, Shattock & Shah 2021, "
            "Vaccines 9:3, doi:10.3390/vaccines9010003",
            "mRNA vaccine lines, mass and cost: Public Citizen 2021, How to make enough vaccine for the world in one year (a model)",
            "Value of sample information by regression: Strong, Oakley, Brennan & Breeze 2015, Medical Decision Making",
        ),
        seconds=time.perf_counter() - started,
    )


STUDY = Study(CODE, TITLE, (supply.QUESTION, durability.QUESTION, analytics.QUESTION), run)
