"""Quantities, distributions, units, random streams, money and errors. Knows nothing of CAR-T."""
