"""Where blocks of work run: in this process, in threads, in worker processes, or on a Dask cluster.

Results depend on the key of a block alone, so the backend, the number of workers, the block size and the order do not
matter (tested). The event kernel releases the GIL, so threads share the flow; Python around it does not, so processes
are the default.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from cartsight.core.errors import CartsightError, InputError, nearest

BACKENDS = ("serial", "threads", "processes", "dask")


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


class ThreadExecutor:
    """Threads of this process."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map_blocks(self, function: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        """Yield the result of each block."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self.workers) as pool:
            yield from pool.map(function, blocks)


class ProcessExecutor:
    """Worker processes; each loads the compiled kernel from the cache once."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map_blocks(self, function: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        """Yield the result of each block."""
        import multiprocessing
        import signal
        from concurrent.futures import ProcessPoolExecutor
        from concurrent.futures.process import BrokenProcessPool

        context = multiprocessing.get_context(
            "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        )
        # Ctrl-C reaches every process of the terminal; this one stops, and the workers end with it without a word.
        quiet = (signal.SIGINT, signal.SIG_IGN)
        with ProcessPoolExecutor(self.workers, mp_context=context, initializer=signal.signal, initargs=quiet) as pool:
            try:
                yield from pool.map(function, blocks)
            except BrokenProcessPool:
                raise CartsightError(
                    "a worker process ended before its work was done, most often for want of memory; try fewer workers"
                ) from None


class DaskExecutor:
    """A Dask cluster: the one at `address`, or a local one of `workers` processes. Needs the extra [cluster]."""

    def __init__(self, workers: int, address: str | None = None) -> None:
        self.workers = workers
        self.address = address

    def map_blocks(self, function: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        """Yield the result of each block."""
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise InputError(
                "the dask backend needs the extra [cluster]", hint="pip install 'cartsight[cluster]'"
            ) from None
        cluster = None
        if self.address is None:
            cluster = LocalCluster(n_workers=self.workers, threads_per_worker=1, dashboard_address=None)
        client = Client(cluster if cluster is not None else self.address)
        try:
            # Few blocks ahead of the reader, so that a long sweep does not hold all its results.
            ahead = max(4 * self.workers, 8)
            pending = [client.submit(function, block, pure=False) for block in blocks[:ahead]]
            for position in range(len(blocks)):
                future = pending[position]
                yield future.result()
                future.release()
                if position + ahead < len(blocks):
                    pending.append(client.submit(function, blocks[position + ahead], pure=False))
        finally:
            client.close()
            if cluster is not None:
                cluster.close()


def default_workers() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def executor_for(workers: int | None, blocks: int) -> Executor:
    """Return worker processes when there is more than one core and enough work to pay for their start."""
    count = default_workers() if workers is None else workers
    return ProcessExecutor(min(count, blocks)) if count > 1 and blocks > 2 else SerialExecutor()


def make_executor(backend: str, workers: int | None = None, address: str | None = None) -> Executor:
    """Return the executor of a backend's name.

    Raises
    ------
    InputError
        Unknown backend, fewer than one worker, or an address for a backend other than dask.
    """
    count = default_workers() if workers is None else workers
    if count < 1:
        raise InputError("needs at least one worker", field="workers", found=workers)
    if address is not None and backend != "dask":
        raise InputError("only the dask backend has an address", field="backend", found=backend)
    match backend:
        case "serial":
            return SerialExecutor()
        case "threads":
            return ThreadExecutor(count)
        case "processes":
            return ProcessExecutor(count)
        case "dask":
            return DaskExecutor(count, address)
    raise InputError(
        "unknown backend", field="backend", found=backend, allowed=", ".join(BACKENDS), hint=nearest(backend, BACKENDS)
    )
