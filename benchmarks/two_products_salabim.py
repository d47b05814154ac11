"""The two-product flow in salabim, on the same draws (https://www.salabim.org; yield mode, monitors off)."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any

import numpy as np
import salabim as sim
from two_product_flow import (
    BEDS,
    DOSES_PER_LOT,
    INITIAL_DOSES,
    INITIAL_LIFE,
    LANES,
    LOT_RELEASED,
    OUTAGE,
    REORDER,
    SHELF_LIFE,
    SUITES,
    UP_TO,
    counts,
)

from cartsight.simulation import Arrivals

Steps = Generator[Any, Any, None]


class SalabimFlow:
    """State of one run; `run` returns when every patient and lot has left."""

    def __init__(self, given: Arrivals, drawn: dict[str, Any], patients: int) -> None:
        sim.yieldless(False)
        self.env = sim.Environment(trace=False)
        self.table = {name: values.tolist() for name, values in drawn.items()}
        self.days = given.time.tolist()
        self.hospital = np.asarray(given.attributes["hospital"]).astype(int).tolist()
        self.autologous = [name == "autologous" for name in given.program]
        hospitals, self.sites = counts(patients)

        def pool(number: int, capacity: int) -> list[Any]:
            return [sim.Resource(capacity=capacity, monitor=False) for _ in range(number)]

        self.apheresis, self.bed = pool(hospitals, 1), pool(hospitals, BEDS)
        self.suite, self.lane = pool(self.sites, SUITES), pool(self.sites, LANES)
        self.batches = [[[INITIAL_LIFE, 0, INITIAL_DOSES, 0.0]] for _ in range(self.sites)]
        self.waiting: list[deque[Any]] = [deque() for _ in range(self.sites)]
        self.on_hand, self.lots, self.on_order = [INITIAL_DOSES] * self.sites, [0] * self.sites, [0.0] * self.sites
        self.status, self.ended = [""] * patients, [0.0] * patients
        self.infused, self.potency = [float("nan")] * patients, [0.0] * patients
        self.patients_left, self.lots_left = patients, 0

    def run(self) -> None:
        """Run until every patient and lot has left."""
        for i in range(self.sites):
            Week(flow=self, resource=self.suite[i], full=SUITES, outage=OUTAGE if i == 0 else (-1.0, -1.0))
            Week(flow=self, resource=self.lane[i], full=LANES, outage=(-1.0, -1.0))
            Expiry(flow=self, site=i, batch=self.batches[i][0])
            self.review(i)
        Referrals(flow=self)
        self.env.run()

    def left(self, i: int, status: str) -> None:
        """Record the end of a patient."""
        self.status[i], self.ended[i] = status, self.env.now()
        self.patients_left -= 1
        self.stop_when_empty()

    def stop_when_empty(self) -> None:
        """End the run when nobody is left."""
        if self.patients_left == 0 and self.lots_left == 0:
            self.env.main().activate()

    def hand_out(self, site: int, i: int) -> None:
        """Give the dose that expires first."""
        batch = self.batches[site][0]
        batch[2] -= 1
        self.on_hand[site] -= 1
        self.potency[i] = batch[3]
        if batch[2] == 0:
            self.batches[site].pop(0)

    def review(self, site: int) -> None:
        """Start lots when the inventory position is at or below the reorder point."""
        if self.patients_left == 0:
            return
        position = self.on_hand[site] + self.on_order[site] - len(self.waiting[site])
        if position <= REORDER:
            for _ in range(int(np.ceil((UP_TO - position) / DOSES_PER_LOT))):
                self.on_order[site] += DOSES_PER_LOT
                self.lots_left += 1
                Lot(flow=self, site=site, number=self.lots[site])
                self.lots[site] += 1


class Week(sim.Component):  # type: ignore[misc]
    """Closes a resource at weekends and in an outage."""

    def setup(self, flow: SalabimFlow, resource: Any, full: int, outage: tuple[float, float]) -> None:
        """Keep the arguments."""
        self.flow, self.resource, self.full, self.outage = flow, resource, full, outage

    def process(self) -> Steps:
        """Change the capacity at every edge."""
        week = 0
        while True:
            edges = {7.0 * week, 7.0 * week + 5.0}
            edges |= {day for day in self.outage if 7.0 * week <= day < 7.0 * week + 7.0}
            for day in sorted(edges):
                yield self.hold(till=day)
                closed = self.outage[0] <= day < self.outage[1] or day - 7.0 * week >= 5.0
                self.resource.set_capacity(0 if closed else self.full)
            week += 1


class Referrals(sim.Component):  # type: ignore[misc]
    """Makes the patients."""

    def setup(self, flow: SalabimFlow) -> None:
        """Keep the run."""
        self.flow = flow

    def process(self) -> Steps:
        """Start each patient and its clock on its day."""
        for i, day in enumerate(self.flow.days):
            yield self.hold(till=day)
            patient = Patient(flow=self.flow, i=i)
            patient.clock = Clock(flow=self.flow, patient=patient)


class Clock(sim.Component):  # type: ignore[misc]
    """Ends a patient unless it is cancelled first."""

    def setup(self, flow: SalabimFlow, patient: Patient) -> None:
        """Keep the patient."""
        self.flow, self.patient = flow, patient

    def process(self) -> Steps:
        """Wait, then end the patient wherever they are."""
        yield self.hold(self.flow.table["clock"][self.patient.i])
        self.patient.die()


class Patient(sim.Component):  # type: ignore[misc]
    """One patient of either product."""

    def setup(self, flow: SalabimFlow, i: int) -> None:
        """Keep the run and the number."""
        self.flow, self.i, self.clock, self.queue = flow, i, None, None

    def die(self) -> None:
        """Leave queues, give back what is held, and end."""
        if self.queue is not None:
            self.queue.remove(self)
        self.cancel()
        self.release()
        self.flow.left(self.i, "dead")

    def process(self) -> Steps:
        """Follow the pathway of the product."""
        flow, i, table = self.flow, self.i, self.flow.table
        hospital = flow.hospital[i]
        site = hospital % flow.sites
        if flow.autologous[i]:
            yield self.request(flow.apheresis[hospital])
            yield self.hold(table["apheresis"][i])
            self.release()
            yield self.hold(table["to suite"][i])
            tests = 0
            for attempt in range(2):
                yield self.request(flow.suite[site])
                yield self.hold(table["manufacture"][attempt][i])
                self.release()
                if table["manufactured"][attempt][i] >= 0.93:
                    continue
                yield self.request(flow.lane[site])
                yield self.hold(table["release test"][tests][i])
                self.release()
                tests += 1
                if table["within specification"][tests - 1][i] < 0.95:
                    break
            else:
                self.clock.cancel()
                flow.left(i, "lost")
                return
        elif flow.on_hand[site] > 0 and not flow.waiting[site]:
            flow.hand_out(site, i)
            flow.review(site)
        else:
            self.queue = flow.waiting[site]
            self.queue.append(self)
            flow.review(site)
            yield self.passivate()
            self.queue = None
        yield self.hold(table["to hospital"][i])
        yield self.request(flow.bed[hospital])
        flow.infused[i] = flow.env.now()
        self.clock.cancel()
        yield self.hold(table["admission"][i])
        self.release()
        flow.left(i, "infused")


class Lot(sim.Component):  # type: ignore[misc]
    """One lot for the stock of a site."""

    def setup(self, flow: SalabimFlow, site: int, number: int) -> None:
        """Keep the site and the number."""
        self.flow, self.site, self.number = flow, site, number

    def process(self) -> Steps:
        """Make, test and store the lot."""
        flow, site, number, table = self.flow, self.site, self.number, self.flow.table
        yield self.request(flow.suite[site])
        yield self.hold(table["culture"][site][number])
        self.release()
        yield self.request(flow.lane[site])
        yield self.hold(table["lot release"][site][number])
        self.release()
        flow.on_order[site] -= DOSES_PER_LOT
        doses = int(np.floor(table["lot yield"][site][number] + 0.5))
        if table["lot released"][site][number] < LOT_RELEASED and doses > 0:
            batch = [flow.env.now() + SHELF_LIFE, number + 1, doses, table["potency"][site][number]]
            flow.batches[site].append(batch)
            flow.batches[site].sort()
            flow.on_hand[site] += doses
            Expiry(flow=flow, site=site, batch=batch)
            while flow.waiting[site] and flow.on_hand[site] > 0:
                patient = flow.waiting[site].popleft()
                patient.queue = None
                flow.hand_out(site, patient.i)
                patient.activate()
        flow.lots_left -= 1
        flow.review(site)
        flow.stop_when_empty()


class Expiry(sim.Component):  # type: ignore[misc]
    """Throws away what is left of a lot."""

    def setup(self, flow: SalabimFlow, site: int, batch: list[Any]) -> None:
        """Keep the batch."""
        self.flow, self.site, self.batch = flow, site, batch

    def process(self) -> Steps:
        """Wait for the expiry day."""
        yield self.hold(till=self.batch[0])
        if self.batch[2] > 0:
            self.flow.on_hand[self.site] -= self.batch[2]
            self.batch[2] = 0
            self.flow.batches[self.site].remove(self.batch)
            self.flow.review(self.site)


def salabim_run(given: Arrivals, drawn: dict[str, Any], patients: int) -> SalabimFlow:
    """Return the finished salabim run."""
    run = SalabimFlow(given, drawn, patients)
    run.run()
    return run
