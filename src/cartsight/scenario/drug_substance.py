"""Drug substance of a product that works in the body: a viral vector in transducing units, or mRNA in milligrams."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from cartsight.core.distributions import Distribution, scaled
from cartsight.scenario.numbers import Frozen, Probability, Variable, VariableDuration
from cartsight.scenario.supplies import VariableTitre, Volume


class VariableMass(Variable):
    """A mass, in milligrams, that differs between lots."""

    target_unit = "milligrams"
    minimum = 0.0


class DrugSubstance(Frozen):
    """One lot in bulk. Viral: volume x titre x recovery. mRNA: mass per batch x encapsulated share x recovery."""

    kind: Literal["viral", "mrna"]
    volume: Volume | None = Field(None, description="Harvested volume of the bioreactor (viral).")
    titre: VariableTitre | None = Field(None, description="Functional titre of the harvest (viral).")
    mass_per_batch: VariableMass | None = Field(None, description="mRNA made in one batch (mrna).")
    encapsulation: Probability | None = Field(None, description="mRNA inside lipid nanoparticles (mrna).")
    recovery: Probability = Field(description="Share left after purification and concentration.")
    testing: VariableDuration | None = Field(
        None, description="Tests of the bulk before it may be filled; the line is free meanwhile."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        viral, mrna = (self.volume, self.titre), (self.mass_per_batch, self.encapsulation)
        wanted, other = (viral, mrna) if self.kind == "viral" else (mrna, viral)
        if any(part is None for part in wanted) or any(part is not None for part in other):
            names = "volume and titre" if self.kind == "viral" else "mass_per_batch and encapsulation"
            raise ValueError(f"kind = {self.kind!r} takes {names}")
        return self

    @property
    def unit(self) -> str:
        """Unit of the amount: of the lot, and of the dose."""
        return "transducing_units" if self.kind == "viral" else "milligrams"

    @property
    def amount(self) -> Distribution:
        """The law of the amount per lot between lots, in `unit`."""
        if self.kind == "viral":
            assert self.titre is not None and self.volume is not None
            return scaled(self.titre.distribution, max(self.volume.x * self.recovery.x, 1e-9))
        assert self.mass_per_batch is not None and self.encapsulation is not None
        return scaled(self.mass_per_batch.distribution, max(self.encapsulation.x * self.recovery.x, 1e-9))
