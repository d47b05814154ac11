"""Random streams: a draw depends on its key alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.core.streams import Stream, patient_ids, stable_hash, uniform


def test_stable_hash_is_the_same_for_ever() -> None:
    # Frozen: a change here would change every published run.
    assert stable_hash("referral gap") == int.from_bytes(
        __import__("hashlib").blake2b(b"referral gap", digest_size=8).digest(), "little"
    )
    assert stable_hash("a") != stable_hash("b")


@given(n=st.integers(1, 50), extra=st.integers(1, 50), seed=st.integers(0, 2**62))
@settings(max_examples=30, deadline=None)
def test_more_patients_or_another_region_shift_no_draw(n: int, extra: int, seed: int) -> None:
    few = Stream(seed, "patient", patient_ids("east", "x", n))("relapse")
    many = Stream(seed, "patient", patient_ids("east", "x", n + extra))("relapse")
    np.testing.assert_array_equal(few, many[:n])
    both = np.concatenate([patient_ids("west", "x", extra), patient_ids("east", "x", n)])
    np.testing.assert_array_equal(few, Stream(seed, "patient", both)("relapse")[extra:])


def test_seed_kind_entity_slot_and_occurrence_all_matter() -> None:
    ids = patient_ids("east", "x", 1000)
    base = Stream(1, "patient", ids)
    assert not np.any(base("a") == base("b"))
    assert not np.any(base("a") == base("a", 1))
    assert not np.any(base("a") == Stream(2, "patient", ids)("a"))
    assert not np.any(base("a") == Stream(1, "lot", ids)("a"))


def test_draws_are_uniform_and_uncorrelated() -> None:
    n = 100_000
    stream = Stream(7, "patient", patient_ids("east", "x", n))
    u, v = stream("a"), stream("b")
    assert u.min() > 0 and u.max() < 1
    counts = np.histogram(u, bins=100, range=(0, 1))[0]
    chi_squared = ((counts - n / 100) ** 2 / (n / 100)).sum()
    assert chi_squared < 99 + 5 * np.sqrt(2 * 99)
    limit = 4.5 / np.sqrt(n)
    assert abs(np.corrcoef(u, v)[0, 1]) < limit
    for lag in (1, 2, 7):
        assert abs(np.corrcoef(u[lag:], u[:-lag])[0, 1]) < limit
        assert abs(np.corrcoef(u[lag:], v[:-lag])[0, 1]) < limit


def test_uniform_broadcasts_over_occurrences() -> None:
    key = Stream(3, "lot", np.arange(2, dtype=np.uint64)).keys
    draws = uniform(key[:, None], stable_hash("x"), np.arange(4, dtype=np.uint64)[None, :])
    assert draws.shape == (2, 4)
    assert np.unique(draws).size == 8
