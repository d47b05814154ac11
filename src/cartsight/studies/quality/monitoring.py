"""Question 2: which in-line measurements are ready, and what each saves in failed runs, days and patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cartsight.evidence.quality.process_analytics import (
    cross_validated_warning,
    predict_harvest_day,
    value_of_stopping,
)
from cartsight.scenario.arms import AutologousArm
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.intervals import span
from cartsight.studies.quality.cultures import DAYS, HARVEST_DAY, UNSEEN_FAILURES, simulate_cultures
from cartsight.studies.quality.panels import Panel, interval_panels
from cartsight.studies.quality.patients import ARM, World, follow

QUESTION = (
    "Which in-line measurements are ready as early warning, and what would each save in failed runs, days and patients?"
)
CULTURES = 300
TESTING_DAYS = 5.0
RESERVED_DAYS = 2.0
STEP = 0.05
"""Change of the failure probability from which the loss of one batch is taken."""

SENSORS: dict[str, tuple[str, ...]] = {
    "glucose": ("glucose",),
    "lactate": ("lactate",),
    "glucose and lactate": ("glucose", "lactate"),
    "dissolved oxygen": ("dissolved oxygen",),
    "capacitance": ("capacitance",),
    "Raman spectra": ("Raman spectra",),
    "all": ("glucose", "lactate", "dissolved oxygen", "capacitance", "Raman spectra"),
}
READINESS = {
    "glucose": "off-line or in-line probes in routine use; models of T cell cultures published (Q101)",
    "lactate": "as glucose (Q101)",
    "glucose and lactate": "as glucose (Q101)",
    "dissolved oxygen": "standard in stirred tanks, not in bags or static plates",
    "capacitance": "standard for CHO cells (Q100); few reports in T cells",
    "Raman spectra": "models of glucose, lactate, ammonia in autologous T cells (Q101); needs tens of batches per process",
    "all": "as its parts",
}

ASSUMPTIONS = (
    "Cultures are simulated: logistic growth with a donor's rate, consumption in proportion to cells, sensor errors of 5 % (glucose, "
    "lactate), 15 % (oxygen uptake), 8 % (capacitance), Raman through partial least squares on overlapping bands. No batch data are public.",
    f"Besides too few cells, {UNSEEN_FAILURES:.0%} of cultures fail for reasons that no in-line signal shows.",
    f"The model learns from {CULTURES} cultures of one process and decides once, on day {DAYS[-1]} of {HARVEST_DAY:.0f}, with its "
    "cross-validated probability.",
    f"Reserving a start for a remake costs a line's standing cost for {RESERVED_DAYS:.0f} days when it is not needed; a remake that is "
    "needed starts as many days sooner as the run and its tests still take.",
    "A culture stopped early is remade as a failed batch; the pathway knows a failure at the end of the run, so days left in the run are "
    "added outside at the simulated value of a day.",
)


def process_monitoring(study: Sequence[World], seed: int, progress: Progress) -> Answer:
    """Return the answer to question 2."""
    keys = (
        "area",
        "slope",
        "rightly",
        "wrongly",
        "days",
        "harvest_error",
        "net",
        "net_no_access",
        "flagged",
        "flagged_good",
        "days_earlier",
        "net_reserved",
        "kept",
    )
    kept: dict[str, dict[str, list[float]]] = {name: {key: [] for key in keys} for name in SENSORS}
    day_values, batch_losses, seen_share, raman = [], [], [], []
    for k, world in enumerate(study):
        base = follow(world, world.numbers)
        refused = follow(world, world.numbers, infuse_out_of_specification=0.0)
        waited = follow(world, world.numbers, extra_wait_days=7.0)
        failing = world.numbers.manufacturing_failure
        lost = follow(world, world.numbers, manufacturing_failure=failing + STEP)
        line = world.scenario.arms[ARM]
        assert isinstance(line, AutologousArm)
        reservation = line.costs.line_per_year.x / 365.25 * RESERVED_DAYS
        kept_per_day = (base.infused - waited.infused) / 7.0
        failure = failing + world.numbers.out_of_specification
        per_day = max((base.net_benefit - waited.net_benefit) / 7.0, 0.0)
        # no batch is lost for less than what went into it, whatever the noise of few patients says
        spent = line.costs.materials_per_batch.x + line.costs.vector_per_batch.x + line.costs.labour_per_batch.x
        per_batch = max((base.net_benefit - lost.net_benefit) / STEP, spent)
        day_values.append(per_day)
        batch_losses.append(per_batch)
        cultures = simulate_cultures(CULTURES, seed + 1000 * k)
        seen_share.append(float(cultures.seen_cause.sum()) / max(int(cultures.failed.sum()), 1))
        raman.append(cultures.raman_error["glucose"])
        rate = float(cultures.failed.mean())
        for name, signals in SENSORS.items():
            x = np.column_stack([cultures.signals[signal] for signal in signals])
            warning = cross_validated_warning(x, cultures.failed, penalty=1.0, seed=1)
            stop = value_of_stopping(
                warning.probability,
                cultures.failed,
                np.full(CULTURES, HARVEST_DAY + TESTING_DAYS),
                day=float(DAYS[-1]),
                value_per_day=per_day,
                loss_of_good_batch=per_batch,
                bootstrap=2,
            )
            reserve = value_of_stopping(
                warning.probability,
                cultures.failed,
                np.full(CULTURES, HARVEST_DAY + TESTING_DAYS),
                day=float(DAYS[-1]),
                value_per_day=per_day,
                loss_of_good_batch=reservation,
                bootstrap=2,
            )
            row = kept[name]
            # a flagged failure is remade as many days sooner as the run and its tests still take
            sooner = reserve.rightly / rate * failure * (HARVEST_DAY + TESTING_DAYS - DAYS[-1]) * base.infused
            row["flagged"].append(reserve.rightly / rate)
            row["flagged_good"].append(reserve.wrongly)
            row["days_earlier"].append(sooner)
            row["net_reserved"].append(per_day * sooner - reservation * reserve.wrongly * base.infused)
            row["kept"].append(kept_per_day * sooner)
            row["area"].append(warning.area_under_curve)
            row["slope"].append(warning.calibration_slope)
            row["rightly"].append(stop.rightly / rate)
            row["wrongly"].append(stop.wrongly)
            row["days"].append(stop.days_saved)
            row["harvest_error"].append(predict_harvest_day(x, cultures.harvest_day, most_components=4, count=5).error)
            # failures found early move from release testing to the run; good cultures stopped are failures too
            share = stop.rightly / rate
            moved = share * world.numbers.out_of_specification
            changed = {
                "manufacturing_failure": min(failing + moved + stop.wrongly, 1.0),
                "out_of_specification": world.numbers.out_of_specification - moved,
            }
            inside = per_day * share * (world.numbers.out_of_specification + failing) * (HARVEST_DAY - DAYS[-1])
            found = follow(world, world.numbers, **changed)
            without = follow(world, world.numbers, infuse_out_of_specification=0.0, **changed)
            row["net"].append(found.net_benefit - base.net_benefit + inside)
            row["net_no_access"].append(without.net_benefit - refused.net_benefit + inside)
        progress("process analytics", k + 1, len(study))
    rows: list[dict[str, Any]] = []
    for name in SENSORS:
        row = kept[name]
        net, no_access, reserved = (span(row[key]) for key in ("net", "net_no_access", "net_reserved"))
        area, kept_range = span(row["area"]), span(row["kept"])
        rows.append(
            {
                "measurement": name,
                "readiness": READINESS[name],
                "area_under_curve": float(np.mean(row["area"])),
                "area_low": area[0],
                "area_high": area[1],
                "calibration_slope": float(np.median(row["slope"])),
                "harvest_day_error": float(np.mean(row["harvest_error"])),
                "failures_stopped": float(np.mean(row["rightly"])),
                "good_stopped": float(np.mean(row["wrongly"])),
                "stop_days_saved_per_100_runs": 100 * float(np.mean(row["days"])),
                "stop_net_benefit_per_1000_referred": 1000 * float(np.mean(row["net"])),
                "stop_low": 1000 * net[0],
                "stop_high": 1000 * net[1],
                "stop_net_benefit_without_expanded_access": 1000 * float(np.mean(row["net_no_access"])),
                "no_access_low": 1000 * no_access[0],
                "no_access_high": 1000 * no_access[1],
                "failures_flagged": float(np.mean(row["flagged"])),
                "good_flagged": float(np.mean(row["flagged_good"])),
                "reserve_patient_days_per_1000_referred": 1000 * float(np.mean(row["days_earlier"])),
                "reserve_patients_kept_per_1000_referred": 1000 * float(np.mean(row["kept"])),
                "kept_low": 1000 * kept_range[0],
                "kept_high": 1000 * kept_range[1],
                "reserve_net_benefit_per_1000_referred": 1000 * float(np.mean(row["net_reserved"])),
                "reserve_low": 1000 * reserved[0],
                "reserve_high": 1000 * reserved[1],
            }
        )
    together = next(r for r in rows if r["measurement"] == "all")
    single = max((r for r in rows if len(SENSORS[r["measurement"]]) == 1), key=lambda r: r["area_under_curve"])
    money = study[0].scenario.analysis.money
    answer = (
        f"By day {DAYS[-1]} {single['measurement']} separates failing from good cultures best of the single measurements (area under the "
        f"curve {single['area_under_curve']:.2f}, all together {together['area_under_curve']:.2f}), because {np.mean(seen_share):.0%} of failures "
        f"show in growth; the harvest day is predicted to {single['harvest_day_error']:.2f} days. Stopping a run pays only when failure is "
        f"nearly certain, because a day of waiting is worth {np.mean(day_values):,.0f} {money} per patient and a lost batch "
        f"{np.mean(batch_losses):,.0f}: {single['failures_stopped']:.0%} of failures would be stopped, worth "
        f"{single['stop_net_benefit_per_1000_referred']:,.0f} {money} per 1 000 referred ("
        f"{single['stop_net_benefit_without_expanded_access']:,.0f} where products out of specification may not be infused). Reserving a start "
        f"for the remake while the run goes on flags {single['failures_flagged']:.0%} of failures ({single['good_flagged']:.0%} of all runs "
        f"wrongly), saves {single['reserve_patient_days_per_1000_referred']:.0f} patient-days and keeps "
        f"{single['reserve_patients_kept_per_1000_referred']:.2f} patients per 1 000 referred, worth "
        f"{single['reserve_net_benefit_per_1000_referred']:,.0f} {money}."
    )
    stopping, reserving = single["stop_net_benefit_per_1000_referred"], single["reserve_net_benefit_per_1000_referred"]
    if reserving > max(stopping, 0.0):
        answer += " So the warning is for planning the remake rather than for discarding."
    elif stopping > 0.0:
        answer += " So the warning is worth most as a reason to stop."
    figures = tuple(
        figure
        for r in rows
        for figure in (
            Figure(f"{r['measurement']}: area under the curve, day {DAYS[-1]}", r["area_under_curve"], r["area_low"], r["area_high"]),
            Figure(
                f"{r['measurement']}: net benefit of reserving the remake, per 1 000 referred",
                r["reserve_net_benefit_per_1000_referred"], r["reserve_low"], r["reserve_high"], money,
            ),
        )
    )  # fmt: skip
    return Answer(
        question=QUESTION,
        answer=answer,
        figures=figures,
        rows=tuple(rows),
        chart=interval_panels(
            rows,
            "measurement",
            (
                Panel(
                    "area_under_curve",
                    "area_low",
                    "area_high",
                    f"Area under the curve, day {DAYS[-1]}",
                    0.5,
                    (0.4, 1.0),
                ),
                Panel(
                    "reserve_patients_kept_per_1000_referred",
                    "kept_low",
                    "kept_high",
                    "Patients kept per 1 000 referred, remake reserved",
                ),
                Panel(
                    "stop_net_benefit_per_1000_referred",
                    "stop_low",
                    "stop_high",
                    f"Net benefit of stopping per 1 000 referred, {money}",
                ),
            ),
            "monitoring",
            "For each in-line measurement: area under the curve of its warning, patients kept by reserving the remake, and the "
            "net benefit of stopping",
        ),
        would_change=(
            "Failures for reasons that signals show earlier, or a process of two weeks instead of one: more days to save.",
            "A process whose failures yield no product at all: then nothing that expanded access could use is lost by stopping.",
            "Fewer batches to learn from: with few failures the probabilities are not calibrated.",
        ),
        weakest=(
            "The simulated cultures: no public data set joins in-line signals of T cells to release results.",
            f"Glucose from Raman spectra to {np.mean(raman):.0%} (cross-validated): depends on the assumed bands and base line.",
            "The share of failures that growth explains (12 of 30 with a stated reason, Q044).",
        ),
    )
