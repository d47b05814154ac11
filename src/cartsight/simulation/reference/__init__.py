"""A second interpreter of the tables in plain Python, written apart from the kernel to test it."""

from cartsight.simulation.reference.result import run_reference

__all__ = ["run_reference"]
