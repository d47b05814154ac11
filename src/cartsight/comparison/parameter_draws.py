"""Parameter draws: every uncertain number of a scenario moved together, by one design in the unit cube."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.comparison.correlation_completion import complete_correlation, spearman_of_pearson
from cartsight.comparison.design_of_experiments import (
    correlate_gaussian_copula,
    pearson_of_spearman,
    unit_cube_design,
)
from cartsight.core.errors import InputError, nearest
from cartsight.core.streams import Stream, mix
from cartsight.scenario import Scenario

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ParameterDraws:
    """Values of the uncertain numbers.

    Attributes
    ----------
    paths : tuple of str
        Field paths, one per column.
    values : array, shape (draws, parameters)
        In each field's own unit.
    seed : int
        Seed of the design and of the patients of each draw.
    """

    paths: tuple[str, ...]
    values: Float
    seed: int

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def at(self, draw: int) -> dict[str, float]:
        """Return {field path: value} of one draw."""
        return dict(zip(self.paths, self.values[draw].tolist(), strict=True))

    def patient_seed(self, draw: int) -> int:
        """Return the seed of a draw's patients: the same for all arms, another one for every draw.

        New patients in every draw average patient noise out of the means; `comparison.spread` takes what is
        left of it out of the parameter uncertainty.
        """
        return int(
            mix(np.uint64((self.seed + 0x632BE59BD9B4E019 * (draw + 1)) & 0xFFFFFFFFFFFFFFFF))[0] >> np.uint64(1)
        )


def uncertain_paths(scenario: Scenario) -> tuple[str, ...]:
    """Return the field paths of the numbers that parameter draws move, in file order."""
    return tuple(path for path, number in scenario.numbers().items() if number.quantity.is_uncertain)


def keyed_latin_hypercube(draws: int, path: str, seed: int) -> Float:
    """Return one column of a Latin hypercube, shape (draws,), addressed by the parameter's own name.

    Every column is a keyed permutation of the strata with a keyed jitter (McKay, Beckman & Conover 1979,
    doi:10.2307/1268522), so adding a parameter or an arm moves no other parameter's draws. A Sobol sequence
    cannot promise that, since its columns are dimensions by position.
    """
    stream = Stream(seed, "parameter draw", np.arange(draws, dtype=np.uint64))
    strata = np.argsort(np.argsort(stream(f"{path}: order"), kind="stable"), kind="stable")
    return np.asarray((strata + stream(f"{path}: within")) / draws)


def draw_parameters(scenario: Scenario, draws: int, seed: int) -> ParameterDraws:
    """Return `draws` joint values of all uncertain numbers.

    Raises
    ------
    InputError
        A correlation names a number that is not uncertain.
    """
    numbers = scenario.numbers()
    paths = uncertain_paths(scenario)
    if not paths:
        return ParameterDraws((), np.zeros((draws, 0)), seed)
    if scenario.analysis.sampling == "sobol":
        uniforms = unit_cube_design(draws, len(paths), method="sobol", seed=seed)
    else:
        uniforms = np.column_stack([keyed_latin_hypercube(draws, path, seed) for path in paths])
    if scenario.analysis.correlations:
        uniforms = _correlated(scenario, paths, uniforms)
    columns = [numbers[path].quantity.draw(uniforms[:, i]) for i, path in enumerate(paths)]
    return ParameterDraws(paths, np.column_stack(columns), seed)


def _correlated(scenario: Scenario, paths: tuple[str, ...], uniforms: Float) -> Float:
    """Return the design with the stated rank correlations, the unstated pairs completed with the largest entropy."""
    pairs: dict[tuple[int, int], float] = {}
    for i, pair in enumerate(scenario.analysis.correlations):
        for end in (pair.first, pair.second):
            if end not in paths:
                raise InputError(
                    "a correlation needs two uncertain numbers",
                    field=f"analysis.correlations.{i}",
                    found=end,
                    hint=nearest(end, paths),
                )
        pairs[paths.index(pair.first), paths.index(pair.second)] = pair.rho
    involved = sorted({column for key in pairs for column in key})
    place = {column: row for row, column in enumerate(involved)}
    pearson = {(place[a], place[b]): float(pearson_of_spearman(rho)) for (a, b), rho in pairs.items()}
    try:
        ranks = spearman_of_pearson(complete_correlation(pearson, len(involved)))
    except InputError as error:
        raise error.located(field="analysis.correlations") from None
    np.fill_diagonal(ranks, 1.0)
    result = uniforms.copy()
    result[:, involved] = correlate_gaussian_copula(uniforms[:, involved], ranks)
    return result
