"""Random streams addressed by key: one uniform for (seed, kind, entity, slot, occurrence).

A draw depends on *what it is for* and never on what was drawn before it. Two arms that share a patient and a step
share the draw (common random numbers), and adding a step, an arm or a region shifts no other draw.

The key is absorbed word by word with the finaliser of splitmix64 (Steele, Lea & Flood 2014,
doi:10.1145/2660193.2660195). The slot is the hash of the step's stable name, never its position.
All functions take scalars or arrays and broadcast; the simulation kernel compiles the same arithmetic.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

UInt64 = npt.NDArray[np.uint64]
Float = npt.NDArray[np.float64]

GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB
MASK = 0xFFFFFFFFFFFFFFFF
UNIFORM_SCALE = 2.0**-52


def stable_hash(name: str) -> int:
    """Return the 64-bit hash of a stable name; the same on every platform and in every version."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8"), digest_size=8).digest(), "little")


def mix(z: npt.ArrayLike) -> UInt64:
    """Return splitmix64's finaliser of `z` (uint64, wrapping)."""
    x = np.atleast_1d(np.asarray(z, dtype=np.uint64))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(MIX_1)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(MIX_2)
    return x ^ (x >> np.uint64(31))


def _absorb(state: UInt64, word: npt.ArrayLike) -> UInt64:
    return mix((state ^ np.asarray(word, dtype=np.uint64)) + np.uint64(GOLDEN))


def entity_key(seed: int, kind: int, entity: npt.ArrayLike) -> UInt64:
    """Return the key of each entity: absorb the seed, the kind of entity and its id, in that order."""
    state = _absorb(np.zeros(1, dtype=np.uint64), np.uint64(seed & MASK))
    state = _absorb(state, np.uint64(kind & MASK))
    return _absorb(state, entity)


def uniform(key: npt.ArrayLike, slot: int | UInt64, occurrence: npt.ArrayLike = 0) -> Float:
    """Return one uniform in (0, 1) per key for a slot and an occurrence.

    Parameters
    ----------
    key : array of uint64, shape (n,)
        Keys from `entity_key`.
    slot : int
        `stable_hash` of the step's name.
    occurrence : int or array, shape (n,)
        How many times the entity has drawn at this slot before.

    Returns
    -------
    array of float64, shape (n,)
        Never exactly 0 or 1, so that every inverse distribution function is finite on it.
    """
    slot_word = np.asarray(slot, dtype=np.uint64) if not isinstance(slot, int) else np.uint64(slot & MASK)
    state = _absorb(_absorb(np.atleast_1d(np.asarray(key, dtype=np.uint64)), slot_word), occurrence)
    # 52 bits, not 53: with 53 the half added to the largest integers would round, and the uniform could be 1.
    return ((state >> np.uint64(12)).astype(np.float64) + 0.5) * UNIFORM_SCALE


class Stream:
    """Draws for a fixed set of entities of one kind: ``stream("relapse")`` is one uniform per entity.

    Parameters
    ----------
    seed : int
        Seed of the run.
    kind : str
        Kind of entity, for example ``"patient"`` or ``"lot"``.
    entities : array of uint64, shape (n,)
        Entity ids that do not depend on the order or number of the other entities.
    """

    def __init__(self, seed: int, kind: str, entities: npt.ArrayLike) -> None:
        self.keys = entity_key(seed, stable_hash(kind), np.asarray(entities, dtype=np.uint64))

    def __call__(self, step: str, occurrence: Any = 0) -> Float:
        """Return one uniform in (0, 1) per entity for the step called `step`."""
        return uniform(self.keys, stable_hash(step), occurrence)


def patient_ids(region: str, indication: str, count: int, start: int = 0) -> UInt64:
    """Return stable ids of `count` patients: (region, indication, running number), so regions never renumber."""
    numbers = np.arange(start, start + count, dtype=np.uint64)
    return _absorb(np.full(count, np.uint64(stable_hash(f"{region}/{indication}"))), numbers)
