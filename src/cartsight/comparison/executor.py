"""Where blocks of work run: in this process, or in worker processes that are reused.

Results depend on the key of a block alone, so the executor, the number of workers and the order do not matter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol


class Executor(Protocol):
    """Map a function over blocks; results come back in the order of the blocks."""

    def map_blocks(self, function: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        """Yield the result of each block."""
        ...


class SerialExecutor:
    """Everything in this process."""

    def map_blocks(self, function: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        """Yield the result of each block."""
        for block in blocks:
            yield function(block)


class ProcessExecutor:
    """Worker processes; each loads the compiled kernel from the cache once."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map_blocks(self, function: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        """Yield the result of each block."""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        context = multiprocessing.get_context(
            "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        )
        with ProcessPoolExecutor(self.workers, mp_context=context) as pool:
            yield from pool.map(function, blocks)


def default_workers() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def executor_for(workers: int | None, blocks: int) -> Executor:
    """Return worker processes when there is more than one core and enough work to pay for their start."""
    count = default_workers() if workers is None else workers
    return ProcessExecutor(min(count, blocks)) if count > 1 and blocks > 2 else SerialExecutor()
