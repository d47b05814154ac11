"""Bad lots: inspection at release, the recall when one is found, and what it means for the patients it reached."""

from __future__ import annotations

import math

from cartsight.scenario.lots import LotProcess
from cartsight.simulation import FlowModel
from cartsight.simulation import steps as s

BAD = "bad"
RECALLED = "recalled"


def can_be_bad(lots: LotProcess) -> bool:
    """Whether some lots of the process are bad."""
    return lots.recall is not None or lots.sampling is not None


def declare_recall(model: FlowModel, lots: LotProcess) -> None:
    if not can_be_bad(lots):
        return
    for name in (BAD, "withdrawn", "recall_wait", "recall_on", "log_wait"):
        model.attribute(name, entity="lot")
    model.attribute("bad_lot")


def inspection(lots: LotProcess) -> list[s.Step]:
    """Return the steps that make a lot good or bad, and reject it where an inspection of vials says so."""
    sampling, recall = lots.sampling, lots.recall
    if sampling is not None:
        return [
            s.Chance("lot is good", 1.0 - sampling.bad_lots.x, otherwise="bad lot"),
            s.Chance("good lot passes inspection", 1.0 - sampling.producers_risk, otherwise=s.End("rejected")),
            s.Jump("lot inspected"),
            s.Label("bad lot"),
            s.Set(BAD, 1.0),
            s.Chance("bad lot passes inspection", sampling.consumers_risk, otherwise=s.End("rejected")),
            *_harm(lots),
            s.Label("lot inspected"),
        ]
    if recall is None or recall.probability is None:
        return []
    return [
        s.Chance("lot is good", 1.0 - recall.probability.x, otherwise="bad lot"),
        s.Jump("lot inspected"),
        s.Label("bad lot"),
        s.Set(BAD, 1.0),
        *_harm(lots),
        s.Label("lot inspected"),
    ]


def _harm(lots: LotProcess) -> list[s.Step]:
    if lots.recall is None:
        return []
    return [
        s.Add("effect", math.log(max(lots.recall.odds_ratio_of_response.x, 1e-6))),
        s.Set("recall_wait", lots.recall.found_after.distribution, name="recall found after"),
        # The logarithm below needs more than zero days.
        s.Add("recall_wait", 1e-6),
        s.Now("recall_on"),
        s.Add("recall_on", "recall_wait"),
    ]


def withdraw_when_found(lots: LotProcess, stock: str, place: str) -> list[s.Step]:
    """Return the steps after a `Put`: a bad lot waits for its recall and takes back what is left of it in `stock`."""
    if lots.recall is None:
        return []
    return [
        s.Test(BAD, ">", 0.0, otherwise=f"good lot {place}"),
        s.Now("recall_wait", times=-1.0),
        s.Add("recall_wait", "recall_on"),
        s.Test("recall_wait", ">", 0.0, otherwise=f"recall {place}"),
        s.Set("log_wait", "recall_wait", function="log"),
        s.Delay(f"until the recall {place}", 1.0, log_effects={"log_wait": 1.0}),
        s.Label(f"recall {place}"),
        s.Withdraw(stock, into="withdrawn"),
        s.Mark(f"recalled {place}"),
        s.End(RECALLED),
        s.Label(f"good lot {place}"),
    ]
