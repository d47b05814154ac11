"""What became of every patient: the table that costs, payments, curves and comparisons read."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from cartsight.outcomes.later_course import LaterCourse

Float = npt.NDArray[np.float64]
Code = npt.NDArray[np.int8]
Bool = npt.NDArray[np.bool_]

ALIVE, WAITING, DISEASE, OTHER_CARE, BACKGROUND, NON_RELAPSE, LATER_TREATMENT, SECONDARY_MALIGNANCY = range(8)
CAUSES_OF_DEATH: tuple[str, ...] = (
    "alive at the horizon",
    "while waiting",
    "disease after infusion",
    "in other care",
    "background mortality",
    "non-relapse mortality",
    "transplant or later line",
    "secondary malignancy",
)


@dataclass(frozen=True, eq=False, slots=True)
class Outcomes:
    """Outcomes of the n patients of one arm at one parameter draw. Days count from referral.

    A day is infinite when the event does not happen before the patient's death and the horizon; days of
    infusion are NaN for patients never infused. All arrays have shape (n,).

    Parameters
    ----------
    arm_name : str
    horizon_days : float
        Follow-up from referral; nothing after it counts.
    infused : bool array
    exit_day : array
        Day the pathway ended: the infusion, the death while waiting, or the day other care took over.
    infusion_day, last_course_day : array
        First infusion, and the course that the response follows (later than the first only after redosing).
    response : int8 array
        To the first treatment: 0 none, 1 partial, 2 complete.
    cured : bool array
        Never relapses (always a complete responder, unless the scenario's relapse law itself states a cured
        share).
    progression_day : array
        First relapse, or the assessment that finds no response.
    relapse_day : array
        First relapse of responders.
    relapse_care_day : array
        Start of relapse care for good: the progression, or the relapse after a second response.
    death_day : array
    death_cause : int8 array
        Index into `CAUSES_OF_DEATH`.
    adverse_events, adverse_events_second_course : dict of bool arrays
        By the scenario's names.
    aplasia, aplasia_second_course : bool array
        B-cell aplasia that needs immunoglobulin.
    retreated, responded_again : bool array
        Second course at relapse, and response to it.
    survival_days : array
        To death or the horizon.
    life_years, life_years_discounted, qalys, qalys_discounted : array
        From referral to death or the horizon.
    later : LaterCourse or None
        Later lines, transplant and secondary malignancy; None where the arm states none of them.
    """

    arm_name: str
    horizon_days: float
    infused: Bool
    exit_day: Float
    infusion_day: Float
    last_course_day: Float
    response: Code
    cured: Bool
    progression_day: Float
    relapse_day: Float
    relapse_care_day: Float
    death_day: Float
    death_cause: Code
    adverse_events: dict[str, Bool]
    adverse_events_second_course: dict[str, Bool]
    aplasia: Bool
    aplasia_second_course: Bool
    retreated: Bool
    responded_again: Bool
    survival_days: Float
    life_years: Float
    life_years_discounted: Float
    qalys: Float
    qalys_discounted: Float
    later: LaterCourse | None = None

    def __len__(self) -> int:
        return int(self.infused.shape[0])

    @property
    def dead(self) -> Bool:
        """Whether each patient died within the horizon."""
        return np.asarray(self.death_cause != ALIVE)

    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the patient table as named columns of length n; adverse events become one column each."""
        table: dict[str, npt.NDArray[np.generic]] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                table[field.name] = value
            elif isinstance(value, dict):
                table.update({f"{field.name}: {name}": flag for name, flag in value.items()})
            elif isinstance(value, LaterCourse):
                table.update(value.columns())
        return table

    def deaths_by_cause(self) -> dict[str, int]:
        """Return how many patients died of each cause, and how many are alive at the horizon."""
        counts = np.bincount(self.death_cause, minlength=len(CAUSES_OF_DEATH))
        return {name: int(counts[code]) for code, name in enumerate(CAUSES_OF_DEATH)}
