"""The ledger of a contract: dated events per patient, who pays whom, under which clause, observed or assumed.

Events of one clause and date are kept as one block of arrays over all patients, because a thousand patients times a
thousand parameter draws are millions of rows; `ContractLedger.rows` spells them out one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.core.units import DAYS_PER_YEAR
from cartsight.economics.discounting import discount_factor
from cartsight.economics.ledger import CostLedger

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Code = npt.NDArray[np.int8]

PAYERS: tuple[str, ...] = ("payer", "next payer")
MANUFACTURER = "manufacturer"
REGISTRY = "registry"


@dataclass(frozen=True, eq=False, slots=True)
class PaymentBlock:
    """Events of one clause at one date of each patient.

    Parameters
    ----------
    clause : str
    years : float or array, broadcast to (pools, patients)
        After infusion.
    amount : array, shape (pools, patients)
        From payer to counterparty; a refund is negative; zero where nothing is due.
    payer : array of int8 or int
        Position in `PAYERS`.
    observed : bool array or bool
        False where missing data were filled by the contract's rule.
    counterparty : str
        "manufacturer", or "registry" for tracking and set-up.
    borne_by_manufacturer : bool
        Whether the firm pays the registry.
    set_off_from : PaymentBlock or None
        The payment that a refund is set off against.
    """

    clause: str
    years: Float | float
    amount: Float
    payer: Code | int = 0
    observed: Bool | bool = True
    counterparty: str = MANUFACTURER
    borne_by_manufacturer: bool = False
    set_off_from: PaymentBlock | None = None


@dataclass(frozen=True, eq=False)
class ContractLedger:
    """All events of a contract.

    Parameters
    ----------
    blocks : tuple of PaymentBlock
    start_years : array, shape (pools, patients)
        Infusion on the agreement's calendar.
    payer_rate, manufacturer_rate : float
        Discount rates per year.
    """

    blocks: tuple[PaymentBlock, ...]
    start_years: Float
    payer_rate: float
    manufacturer_rate: float

    @cached_property
    def product_blocks(self) -> tuple[PaymentBlock, ...]:
        """Events between payers and the manufacturer."""
        return tuple(block for block in self.blocks if block.counterparty == MANUFACTURER)

    def _sum(self, blocks: tuple[PaymentBlock, ...], rate: float) -> Float:
        total = np.zeros(self.start_years.shape)
        for block in blocks:
            if rate == 0.0 or (isinstance(block.years, float) and block.years == 0.0):
                total += block.amount
            else:
                total += block.amount * discount_factor(block.years, rate)
        return total

    def nominal(self) -> Float:
        """Return what all payers together pay the manufacturer per patient, undiscounted, refunds taken off."""
        return self._sum(self.product_blocks, 0.0)

    def present_value(self, rate: float | None = None) -> Float:
        """Return the same valued at each patient's infusion at the payer's rate (or another)."""
        return self._sum(self.product_blocks, self.payer_rate if rate is None else rate)

    def manufacturer_present_value(self) -> Float:
        """Return revenue per patient at the manufacturer's rate, less what it pays for tracking."""
        own = tuple(b for b in self.blocks if b.counterparty == REGISTRY and b.borne_by_manufacturer)
        return self._sum(self.product_blocks, self.manufacturer_rate) - self._sum(own, self.manufacturer_rate)

    def administration(self, rate: float = 0.0) -> Float:
        """Return set-up and tracking cost per patient, whoever bears it."""
        return self._sum(tuple(b for b in self.blocks if b.counterparty == REGISTRY), rate)

    def payer_cost(self, rate: float = 0.0) -> Float:
        """Return what payers spend per patient: the product and their own administration."""
        own = tuple(b for b in self.blocks if b.counterparty == MANUFACTURER or not b.borne_by_manufacturer)
        return self._sum(own, rate)

    def by_payer(self) -> dict[str, Float]:
        """Return nominal payments to the manufacturer per patient and payer."""
        totals = {name: np.zeros(self.start_years.shape) for name in PAYERS}
        for block in self.product_blocks:
            for code, name in enumerate(PAYERS):
                if isinstance(block.payer, int):
                    totals[name] += block.amount * (block.payer == code)
                else:
                    totals[name] += np.where(block.payer == code, block.amount, 0.0)
        return totals

    def by_clause(self) -> dict[str, dict[str, float]]:
        """Return per clause the mean nominal amount and present value per patient and how much was assumed."""
        result: dict[str, dict[str, float]] = {}
        for block in self.blocks:
            entry = result.setdefault(block.clause, {"nominal": 0.0, "present_value": 0.0, "assumed": 0.0})
            entry["nominal"] += float(block.amount.mean())
            entry["present_value"] += float((block.amount * discount_factor(block.years, self.payer_rate)).mean())
            if block.observed is not True:
                entry["assumed"] += float(np.where(block.observed, 0.0, block.amount).mean())
        return result

    def cash_flow(self) -> list[dict[str, float]]:
        """Return mean nominal flows per pool and year of the agreement (year 1 is its first).

        Returns
        -------
        list of dict
            year, payer, next_payer (outflows), manufacturer (inflow), registry (inflow).
        """
        pools = self.start_years.shape[0]
        years = [
            (block, np.floor(self.start_years + block.years + 1e-9).astype(np.int64).clip(0)) for block in self.blocks
        ]
        last = max((int(np.max(np.where(b.amount != 0.0, at, 0))) for b, at in years), default=0)
        table = np.zeros((4, last + 1))
        for block, at in years:
            flat, kept = block.amount.ravel(), np.minimum(at, last).ravel()
            sums = np.bincount(kept, weights=flat, minlength=last + 1)
            if block.counterparty == REGISTRY:
                table[3] += sums
                table[2 if block.borne_by_manufacturer else 0] += -sums if block.borne_by_manufacturer else sums
                continue
            table[2] += sums
            later = np.broadcast_to(np.asarray(block.payer), block.amount.shape).ravel() == 1
            moved = np.bincount(kept, weights=np.where(later, flat, 0.0), minlength=last + 1)
            table[1] += moved
            table[0] += sums - moved
        return [
            {
                "year": year + 1,
                "payer": float(table[0, year] / pools),
                "next_payer": float(table[1, year] / pools),
                "manufacturer": float(table[2, year] / pools),
                "registry": float(table[3, year] / pools),
            }
            for year in range(last + 1)
        ]

    def rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return one record per event that moves money, in order of pool, patient and date.

        Records hold pool, patient, years (after infusion), day (of the agreement), payer, counterparty, amount,
        clause, observed, payer_discount_factor, manufacturer_discount_factor. `limit` keeps the first of them.
        """
        records = []
        shape = self.start_years.shape
        for block in self.blocks:
            pool, patient = np.nonzero(block.amount)
            years = np.broadcast_to(block.years, shape)[pool, patient]
            columns = (
                np.broadcast_to(np.asarray(block.payer), shape)[pool, patient],
                block.amount[pool, patient],
                np.broadcast_to(np.asarray(block.observed), shape)[pool, patient],
                self.start_years[pool, patient],
                discount_factor(years, self.payer_rate),
                discount_factor(years, self.manufacturer_rate),
            )
            for row in zip(
                pool.tolist(), patient.tolist(), years.tolist(), *(c.tolist() for c in columns), strict=True
            ):
                p, i, at, code, amount, observed, start, own, firm = row
                records.append(
                    {
                        "pool": p,
                        "patient": i,
                        "years": at,
                        "day": (start + at) * DAYS_PER_YEAR,
                        "payer": MANUFACTURER if block.borne_by_manufacturer else PAYERS[code],
                        "counterparty": block.counterparty,
                        "amount": amount,
                        "clause": block.clause,
                        "observed": observed,
                        "payer_discount_factor": own,
                        "manufacturer_discount_factor": firm,
                    }
                )
        records.sort(key=lambda r: (r["pool"], r["patient"], r["years"]))
        return records[:limit]

    def cost_ledger(self) -> CostLedger:
        """Return the payers' side as dated costs, one category per clause, days on the agreement's calendar.

        Patients are numbered pool by pool.
        """
        names = tuple(dict.fromkeys(b.clause for b in self.blocks if not b.borne_by_manufacturer)) or ("product",)
        columns: list[tuple[Any, ...]] = []
        for block in self.blocks:
            if block.borne_by_manufacturer:
                continue
            flat = block.amount.ravel()
            who = np.flatnonzero(flat)
            day = ((self.start_years + block.years) * DAYS_PER_YEAR).ravel()[who]
            columns.append((who, day, np.full(who.size, names.index(block.clause)), flat[who]))
        empty = (np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0))
        patient, day, category, amount = (np.concatenate(c) for c in zip(empty, *columns, strict=True))
        return CostLedger(patient, day, category, amount, names, self.start_years.size)
