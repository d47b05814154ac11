"""The trajectory table: what the flow leaves behind, and all that outcomes, costs and payment need.

One row per counted patient, the same rows in the same order for every arm, plus the dated events behind them.
Days count from each patient's own referral, so that the clock from referral (intention to treat) needs no shift and
the clock from infusion is a difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

# Reasons a patient's pathway ends, beside the care-pathway steps' own ("left: <because>").
INFUSED = "infused"
DIED = "died while waiting"
INELIGIBLE = "became ineligible"
NO_PRODUCT = "no product"
NOT_COLLECTED = "collection failed"
OTHER_CARE = "other care"


@dataclass(frozen=True, slots=True)
class Patients:
    """The patients themselves: identical for every arm and every parameter draw of the flow.

    All arrays have shape (n,). `identity` keys every random draw of the patient.
    """

    identity: npt.NDArray[np.uint64]
    referral_day: Float
    region: Int
    hospital: Int
    age: Float
    female: Bool
    counted: Bool

    def __len__(self) -> int:
        return int(self.identity.shape[0])

    def rows(self, chosen: Int) -> Patients:
        """Return the patients of the chosen rows."""
        return Patients(
            identity=self.identity[chosen],
            referral_day=self.referral_day[chosen],
            region=self.region[chosen],
            hospital=self.hospital[chosen],
            age=self.age[chosen],
            female=self.female[chosen],
            counted=self.counted[chosen],
        )


@dataclass(frozen=True, slots=True)
class Trajectories:
    """Flow of the counted patients of one arm at one parameter draw.

    Parameters
    ----------
    patients : Patients
        The counted patients, n rows.
    status : array of int, shape (n,)
        Index into `statuses`.
    end_day : array, shape (n,)
        Day the pathway ended, from referral: the infusion itself for infused patients.
    day : dict of arrays, shape (n,)
        Last day of each named event ("leukapheresis", "infusion", ...), NaN where it never happened.
    worsened, out_of_specification, expressed, bridged : bool arrays, shape (n,)
        State at infusion or exit; infused out of specification; CAR expressed (True unless in vivo); had bridging.
    courses : int array, shape (n,)
        Courses of product given.
    lot_effect : array, shape (n,)
        Effect of the lot on the log-odds of response (zero for one-patient batches).
    event_patient, event_kind, event_day : arrays, shape (m,)
        Every dated event: row of the patient, index into `event_kinds`, day from referral.
    """

    patients: Patients
    statuses: tuple[str, ...]
    status: Int
    end_day: Float
    day: dict[str, Float]
    worsened: Bool
    out_of_specification: Bool
    expressed: Bool
    bridged: Bool
    courses: Int
    lot_effect: Float
    event_kinds: tuple[str, ...]
    event_patient: Int
    event_kind: Int
    event_day: Float
    extra: dict[str, Float] = field(default_factory=dict)

    @property
    def infused(self) -> Bool:
        """Whether each patient was infused."""
        return self.has_status(INFUSED)

    def has_status(self, name: str) -> Bool:
        """Whether each patient's pathway ended as `name`."""
        if name not in self.statuses:
            return np.zeros(len(self), dtype=np.bool_)
        return np.asarray(self.status == self.statuses.index(name))

    def events(self, kind: str) -> tuple[Int, Float]:
        """Return rows and days of every event of a kind."""
        if kind not in self.event_kinds:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        chosen = self.event_kind == self.event_kinds.index(kind)
        return self.event_patient[chosen], self.event_day[chosen]

    def __len__(self) -> int:
        return len(self.patients)


# Dated events that may be priced, beside "step: <name>" for each care-pathway step that was completed.
LEUKAPHERESIS = "leukapheresis"
BATCH_STARTED = "batch started"
BATCH_FAILED = "manufacturing failure"
OUT_OF_SPECIFICATION = "out of specification"
PRODUCT_RELEASED = "product released"
SHIPMENT = "shipment"
DOSE_TAKEN = "dose taken"
LYMPHODEPLETION = "lymphodepletion"
INFUSION = "infusion"
REDOSING_VISIT = "redosing visit"
WORSENED = "worsened"
