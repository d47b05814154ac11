"""The random draws of the patients' outcomes, made once and used for every arm and every parameter draw.

A draw depends on the seed, the patient and the name of the step, never on the arm or on a parameter. The
transforms that inversion needs (the exponential variate and the log-odds of a uniform) depend on nothing
else either, so they are kept with it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cartsight.core.streams import Stream
from cartsight.simulation.pathways.trajectory import Patients

Float = npt.NDArray[np.float64]


class PatientDraws:
    """One uniform per patient and step, remembered.

    Parameters
    ----------
    patients : Patients
        n patients; `identity` keys the draws.
    seed : int
        Seed of the run.
    """

    def __init__(self, patients: Patients, seed: int) -> None:
        self.identity = patients.identity
        self.seed = seed
        self._stream = Stream(seed, "patient", patients.identity)
        self._kept: dict[tuple[str, str, int], Float] = {}

    def __len__(self) -> int:
        return int(self.identity.shape[0])

    def uniform(self, step: str, occurrence: int = 0) -> Float:
        """Return one uniform in (0, 1) per patient, shape (n,); read only."""
        return self._keep("uniform", step, occurrence)

    def exponential(self, step: str, occurrence: int = 0) -> Float:
        """Return -ln(1 - u) of the same uniform: unit exponential, the cumulative hazard at the event."""
        return self._keep("exponential", step, occurrence)

    def log_odds(self, step: str, occurrence: int = 0) -> Float:
        """Return ln(u / (1 - u)) of the same uniform; u < p is the same as log_odds < logit(p)."""
        return self._keep("log_odds", step, occurrence)

    def belong_to(self, patients: Patients) -> bool:
        """Return whether the draws are those of `patients`, row by row."""
        return self.identity is patients.identity or np.array_equal(self.identity, patients.identity)

    def for_patients(self, patients: Patients) -> PatientDraws:
        """Return these draws when they are those of `patients`, else new ones with the same seed."""
        return self if self.belong_to(patients) else PatientDraws(patients, self.seed)

    def _keep(self, form: str, step: str, occurrence: int) -> Float:
        key = (form, step, occurrence)
        kept = self._kept.get(key)
        if kept is None:
            if form == "uniform":
                kept = self._stream(step, occurrence)
            else:
                u = self._keep("uniform", step, occurrence)
                kept = -np.log1p(-u) if form == "exponential" else np.log(u) - np.log1p(-u)
            kept.flags.writeable = False
            self._kept[key] = kept
        return kept
