"""Sizes a plant may have, and the load each can carry without long queues (square-root safety capacity).

n lines carry an offered load a with n = a + safety * sqrt(a) (Halfin & Whitt 1981, doi:10.1287/opre.29.3.567): larger plants
may be busier for the same wait. The rule is a screening device; the simulation says what the wait really is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cartsight.planning.network_inputs import NetworkProblem


@dataclass(frozen=True, slots=True)
class Module:
    """A size: lines, and batches per year that it can carry."""

    lines: int
    batches_per_year: float


def usable_load(lines: int, safety: float) -> float:
    """Return the offered load, in busy lines, that `lines` lines carry."""
    root = (-safety + math.sqrt(safety * safety + 4.0 * lines)) / 2.0
    return root * root


def modules(problem: NetworkProblem, plant: int, safety: float) -> list[Module]:
    """Return the sizes of a plant: every number of modules up to 12, then steps of about 12 %, up to its maximum.

    The sizes of a plant with existing lines start at these. An empty list: the plant is too small for one module.
    """
    step, candidate = problem.lines_per_module, problem.plants[plant]
    most = candidate.maximum_lines // step
    least = candidate.existing_lines // step
    sizes, n = [], max(1, least)
    while n < most:
        sizes.append(n)
        n = n + 1 if n < 12 else max(n + 1, round(n * 1.12))
    if most > 0:
        sizes.append(most)
    return [module(problem, n * step, safety) for n in sizes]


def module(problem: NetworkProblem, lines: int, safety: float) -> Module:
    """Return the size of a plant of this many lines."""
    return Module(lines, usable_load(lines, safety) * problem.batches_per_line * open_days_share(problem))


def open_days_share(problem: NetworkProblem) -> float:
    """Return the share of the year outside the arm's yearly shutdown."""
    arm = problem.arm
    site = arm.at_every_hospital if arm.sites is None else next(iter(arm.sites.values()))
    return 1.0 - (site.yearly_shutdown_days if site is not None else 0) / 365.0
