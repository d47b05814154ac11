"""The price at which a product is worth exactly what it costs, at a stated willingness to pay."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]


def price_at_threshold(
    cost: npt.ArrayLike,
    effect: npt.ArrayLike,
    comparator_cost: npt.ArrayLike,
    comparator_effect: npt.ArrayLike,
    *,
    price: npt.ArrayLike,
    cost_per_unit_of_price: npt.ArrayLike,
    wtp: npt.ArrayLike,
    comparator_cost_per_unit_of_price: npt.ArrayLike = 0.0,
) -> Float:
    """Return the price at which the net benefit of a product equals that of its comparator.

    Cost is linear in price, cost(p) = cost + k (p - price), where k is the expected discounted number of
    times the price is paid per patient (below one when some patients are never infused or a refund is due).
    Then::

        p* = price + [ wtp (effect - comparator_effect) - (cost - comparator_cost) ] / (k - k_comparator)

    Parameters
    ----------
    cost, effect, comparator_cost, comparator_effect : array_like
        Expected discounted cost and effect per patient at the current `price`. Arrays broadcast, so that one
        price per parameter draw or per willingness to pay comes from one call.
    price : array_like
        The price at which `cost` was computed.
    cost_per_unit_of_price : array_like
        k, from 0 exclusive. When a share s of `cost` is proportional to price, k = s x cost / price.
    wtp : array_like
        Willingness to pay per unit of effect.
    comparator_cost_per_unit_of_price : array_like
        The comparator's own k for the same price, for arms that buy the same product.

    Returns
    -------
    array of float64
        Price in the same money. It is negative where even a free product would not be worth its other costs.

    Raises
    ------
    InputError
        When the two arms pay the price equally often, so that no price can make them equal.
    """
    slope = np.asarray(cost_per_unit_of_price, dtype=np.float64) - np.asarray(
        comparator_cost_per_unit_of_price, dtype=np.float64
    )
    if np.any(slope == 0.0) or not np.all(np.isfinite(slope)):
        raise InputError(
            "cost does not depend on the price, so that no price makes the two arms equal",
            field="cost_per_unit_of_price",
            found=cost_per_unit_of_price,
        )
    gain = np.asarray(effect, dtype=np.float64) - np.asarray(comparator_effect, dtype=np.float64)
    more = np.asarray(cost, dtype=np.float64) - np.asarray(comparator_cost, dtype=np.float64)
    surplus = np.asarray(wtp, dtype=np.float64) * gain - more
    return np.asarray(np.asarray(price, dtype=np.float64) + surplus / slope, dtype=np.float64)
