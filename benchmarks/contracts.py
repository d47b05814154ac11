"""Patients x parameter draws x arms with a full contract ledger, beside a plain NumPy three-state model.

    python benchmarks/contracts.py [patients] [draws]

Both simulate time in remission, time to death, discounted costs and QALYs of every patient of every draw in three arms.
Ours uses keyed draws and adds a contract on each arm: payment at infusion, a milestone under errors of assessment and
loss to follow-up, an annuity, a declining warranty and payer turnover, valued for payer and firm. The peer stops at the
price. The ratio says what keys and ledger cost; the target is 10 s for 1 000 x 1 000 x 3 on two cores.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from cartsight.core.streams import Stream
from cartsight.economics.contracts import (
    Annuity,
    Assessment,
    Contract,
    ContractCohort,
    FollowUp,
    Milestone,
    Refund,
    Terms,
    Turnover,
    UpFront,
    run_contract,
)
from cartsight.economics.discounting import discounted_life_years

Float = npt.NDArray[np.float64]

ARMS = {"autologous": (0.40, 1.0, 0.6), "allogeneic": (0.30, 1.3, 0.7), "in vivo": (0.25, 1.5, 0.7)}
PRICE, RATE = 373_000.0, 0.03
DRAWS_PER_BLOCK = 50
CONTRACT = Contract(
    PRICE,
    (
        UpFront("infusion", share=0.4),
        Milestone("18 months", share=0.3, month=18, window_months=3, missing_data="last"),
        Annuity("annuity", share=0.3, payments_count=4, first_month=12),
        Refund("warranty", share=0.3, until_month=12, decline="linear"),
    ),
    Terms(
        payer_rate=RATE,
        manufacturer_rate=0.08,
        assessment=Assessment(0.95, 0.9),
        follow_up=FollowUp(0.05),
        turnover=Turnover(0.1, "transfer"),
    ),
)


def parameters(draws: int, arm: str) -> tuple[Float, Float, Float]:
    """Return cured share, relapse rate and death rate after relapse per draw, shape (draws, 1)."""
    cured, relapse, death = ARMS[arm]
    generator = np.random.default_rng(len(arm))
    return (
        generator.beta(50 * cured, 50 * (1 - cured), (draws, 1)),
        relapse * generator.lognormal(0.0, 0.15, (draws, 1)),
        death * generator.lognormal(0.0, 0.15, (draws, 1)),
    )


def states(u: tuple[Float, Float, Float, Float], arm: tuple[Float, Float, Float]) -> tuple[Float, Float]:
    """Return years to relapse or death, and years to death."""
    cured, relapse, death = arm
    background = 30.0 * -np.log(u[3])
    ends = np.where(u[0] < cured, np.inf, -np.log(u[1]) / relapse)
    dies = np.minimum(ends - np.log(u[2]) / death, background)
    return np.minimum(ends, dies), dies


def value(remission: Float, death: Float) -> tuple[Float, Float]:
    """Return discounted QALYs, and costs beside the product."""
    alive = discounted_life_years(np.minimum(death, 40.0), RATE)
    well = discounted_life_years(np.minimum(remission, 40.0), RATE)
    return 0.8 * well + 0.5 * (alive - well), 3_000.0 * well + 40_000.0 * (alive - well)


def ours(patients: int, draws: int) -> dict[str, Float]:
    """Return per arm and draw: QALYs, other costs, payer's and firm's present value of the contract."""

    def block(task: tuple[str, int]) -> tuple[str, int, Float]:
        arm, first = task
        laws = tuple(column[first : first + DRAWS_PER_BLOCK] for column in parameters(draws, arm))
        shape = (laws[0].shape[0], patients)
        # The same patients in every arm: keys name the draw and the patient, not the arm.
        stream = Stream(2024, "patient", np.arange(shape[0] * patients, dtype=np.uint64) + np.uint64(first * patients))
        u = tuple(stream(name).reshape(shape) for name in ("cured", "relapse", "death", "background"))
        remission, death = states(u, laws)  # type: ignore[arg-type]
        qalys, other = value(remission, death)
        cohort = ContractCohort(remission, np.zeros(shape), death_years=death, seed=2024, key=f"draws from {first}")
        ledger = run_contract(CONTRACT, cohort)
        means = [x.mean(axis=1) for x in (qalys, other, ledger.present_value(), ledger.manufacturer_present_value())]
        return arm, first, np.column_stack(means)

    tasks = [(arm, first) for arm in ARMS for first in range(0, draws, DRAWS_PER_BLOCK)]
    with ThreadPoolExecutor(2) as pool:
        done = sorted(pool.map(block, tasks), key=lambda item: (item[0], item[1]))
    return {arm: np.concatenate([part for name, _, part in done if name == arm]) for arm in ARMS}


def plain(patients: int, draws: int) -> dict[str, Float]:
    """Return per arm and draw: QALYs and total costs of a three-state model with the price at infusion."""
    results = {}
    generator = np.random.default_rng(1)
    for arm in ARMS:
        rows = []
        for first in range(0, draws, DRAWS_PER_BLOCK):
            laws = tuple(column[first : first + DRAWS_PER_BLOCK] for column in parameters(draws, arm))
            u = generator.random((4, laws[0].shape[0], patients))
            remission, death = states(tuple(u), laws)  # type: ignore[arg-type]
            qalys, other = value(remission, death)
            rows.append(np.column_stack([qalys.mean(axis=1), PRICE + other.mean(axis=1)]))
        results[arm] = np.concatenate(rows)
    return results


def main(patients: int, draws: int) -> None:
    """Print times, the ratio and the results they rest on."""
    ours(patients, DRAWS_PER_BLOCK)
    times = {}
    for name, work in (("plain three-state model", plain), ("cartsight with ledger", ours)):
        start = time.perf_counter()
        result = work(patients, draws)
        times[name] = time.perf_counter() - start
        print(f"{name:26s} {times[name]:6.2f} s for {patients} patients x {draws} draws x {len(ARMS)} arms")
        for arm, table in result.items():
            low, high = np.quantile(table, (0.025, 0.975), axis=0)
            cells = "  ".join(
                f"{m:,.4g} ({a:,.4g} to {b:,.4g})" for m, a, b in zip(table.mean(axis=0), low, high, strict=True)
            )
            print(f"    {arm:11s} {cells}")
    ratio = times["cartsight with ledger"] / times["plain three-state model"]
    print(f"ratio {ratio:.1f}; target: 10 s for 1 000 x 1 000 x 3")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
