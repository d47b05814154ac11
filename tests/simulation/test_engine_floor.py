"""Set-up, campaigns, counters, depots, recall and breakdowns on flows whose every time can be worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from cartsight.core.distributions import Distribution, Exponential, LogNormal, Uniform
from cartsight.core.errors import InputError
from cartsight.simulation import Arrivals, Calendar, FlowModel, FlowResult, compile_model, mermaid, simulate
from cartsight.simulation import steps as s
from cartsight.simulation.run import simulate_reference


def both(m: FlowModel, arrivals: Arrivals, **options: object) -> FlowResult:
    tables = compile_model(m)
    fast = simulate(tables, arrivals, seed=1, **options)  # type: ignore[arg-type]
    slow = simulate_reference(tables, arrivals, seed=1, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(fast.patients.end_time, slow.patients.end_time)
    np.testing.assert_allclose(fast.resource_statistics, slow.resource_statistics, atol=1e-9)
    return fast


def line(
    changeover: Sequence[Sequence[Distribution | float]],
    service: Distribution | float = 1.0,
    *,
    capacity: int = 1,
    calendar: Calendar | None = None,
    **setup: object,
) -> FlowModel:
    m = FlowModel("line")
    m.attribute("product")
    m.resource("line", capacity, calendar=calendar)
    m.setup("line", attribute="product", products=len(changeover), changeover=changeover, **setup)  # type: ignore[arg-type]
    m.program("p", [s.Seize("line"), s.Mark("start"), s.Delay("run", service), s.Free(), s.End("made")])
    return m


def made(times: Sequence[float], products: Sequence[int]) -> Arrivals:
    return Arrivals(np.array(times, float), attributes={"product": np.array(products, float)})


MATRIX = [[0.0, 2.0], [3.0, 0.0]]


def test_changeover_from_and_to() -> None:
    result = both(line(MATRIX), made([0.0] * 4, [0, 1, 1, 0]))
    # 0 from 0 to 1; change 2; 1 from 3 and 4; change back 3; 0 from 8.
    assert result.patients.mark("start").tolist() == [0.0, 3.0, 4.0, 8.0]
    use = result.resource("line")
    assert (use.setup, use.changeovers, use.busy, use.seizes) == (5.0, 2.0, 9.0, 4.0)


def test_campaign_takes_the_same_product_first_until_it_is_complete() -> None:
    products = [0, 1, 0, 1, 0, 0]
    # A campaign of 3: 0 0 0, then the first in line (1), which goes on with its own (1), then 0.
    start = both(line(MATRIX, campaign=3), made([0.0] * 6, products)).patients.mark("start").tolist()
    assert start == [0.0, 5.0, 1.0, 6.0, 2.0, 10.0]
    # In order of arrival: 0 |2| 1 |3| 0 |2| 1 |3| 0 0
    start = both(line(MATRIX), made([0.0] * 6, products)).patients.mark("start").tolist()
    assert start == [0.0, 3.0, 7.0, 10.0, 14.0, 15.0]


def test_a_better_class_ends_a_campaign() -> None:
    m = FlowModel("classes")
    m.attribute("product")
    m.attribute("class")
    m.resource("line", 1)
    m.setup("line", attribute="product", products=2, changeover=MATRIX, campaign=10)
    m.program("p", [s.Seize("line", priority="class"), s.Mark("start"), s.Delay("run", 1.0), s.Free(), s.End("made")])
    arrivals = Arrivals(
        np.zeros(3), attributes={"product": np.array([0.0, 0.0, 1.0]), "class": np.array([1.0, 1.0, 0.0])}
    )
    assert both(m, arrivals).patients.mark("start").tolist() == [0.0, 7.0, 3.0]


def test_the_server_set_up_for_the_product_is_taken_else_the_cheapest_change() -> None:
    matrix = [[0.0, 5.0, 9.0], [9.0, 0.0, 1.0], [9.0, 9.0, 0.0]]
    # Two servers make 0 and 1; then 1 (the second), then 2 while both are free: 1 -> 2 costs 1, 0 -> 2 costs 9.
    result = both(line(matrix, capacity=2), made([0.0, 0.0, 10.0, 20.0], [0, 1, 1, 2]))
    assert result.patients.mark("start").tolist() == [0.0, 0.0, 10.0, 21.0]
    assert result.resource("line").changeovers == 1.0


def test_first_and_initial_product_and_a_clean_down_between_runs() -> None:
    matrix = [[0.5, 2.0], [3.0, 0.0]]
    arrivals = made([0.0, 0.0], [0, 0])
    assert both(line(matrix, first=[4.0, 1.0]), arrivals).patients.mark("start").tolist() == [4.0, 5.5]
    assert both(line(matrix, initial=1), arrivals).patients.mark("start").tolist() == [3.0, 4.5]
    result = both(line(matrix, capacity=2, initial=[1, 0]), arrivals)
    assert result.patients.mark("start").tolist() == [0.5, 3.0]
    assert (result.resource("line").setup, result.resource("line").changeovers) == (3.5, 1.0)


def test_the_changeover_is_drawn_by_entity_and_step() -> None:
    law = LogNormal(0.0, 0.5)
    arrivals = made([0.0, 100.0, 200.0], [0, 1, 0])
    start = both(line([[0.0, law], [law, 0.0]]), arrivals).patients.mark("start") - arrivals.time
    assert start[0] == 0.0 and (start[1:] > 0).all()
    # Another queue before it, or one patient more, leaves the draws as they are.
    more = made([0.0, 50.0, 100.0, 200.0], [0, 0, 1, 0])
    more = Arrivals(more.time, identity=np.array([0, 9, 1, 2], dtype=np.uint64), attributes=more.attributes)
    again = both(line([[0.0, law], [law, 0.0]]), more).patients.mark("start") - more.time
    np.testing.assert_allclose(again[2:], start[1:], rtol=1e-12)


def test_a_clock_in_a_changeover_frees_the_server_set_up_for_the_new_product() -> None:
    m = line(MATRIX)
    m.clock("patience", s.End("left"), law=4.0, armed=True)
    result = both(m, made([0.0, 2.5, 4.6], [0, 1, 1]))
    assert result.patients.end_time.tolist() == [1.0, 5.5, 6.5]
    m = line([[0.0, 9.0], [9.0, 0.0]])
    m.clock("patience", s.End("left"), law=4.0, armed=True)
    result = both(m, made([0.0, 2.0, 7.0], [0, 1, 1]))
    assert result.patients.end_time.tolist() == [1.0, 6.0, 8.0]
    assert result.resource("line").setup == 4.0


def test_a_closed_server_is_not_chosen() -> None:
    """From day 10 one server is left: the first, which makes product 0."""
    m = line(MATRIX, capacity=2, calendar=Calendar(changes=((10.0, 1),)))
    result = both(m, made([0.0, 0.0, 20.0], [0, 1, 1]))
    assert result.patients.mark("start").tolist() == [0.0, 0.0, 22.0]


def test_equal_products_without_changeover_are_the_plain_queue() -> None:
    days = np.sort(np.random.default_rng(3).uniform(0, 300, 400))
    plain = FlowModel("plain")
    plain.attribute("product")
    plain.resource("line", 3)
    plain.program("p", [s.Seize("line"), s.Mark("start"), s.Delay("run", Exponential(2.0)), s.Free(), s.End("made")])
    arrivals = Arrivals(days, attributes={"product": np.zeros(400)})
    a = simulate(compile_model(plain), arrivals, seed=5)
    b = simulate(compile_model(line(MATRIX, Exponential(2.0), capacity=3, campaign=4)), arrivals, seed=5)
    np.testing.assert_array_equal(a.patients.end_time, b.patients.end_time)


def test_learning_by_number_made_is_a_power_law_at_each_site() -> None:
    """The n-th run takes 10 n^-0.32: each doubling takes a fifth off (2^-0.32 = 0.80)."""
    m = FlowModel("learning")
    m.attribute("site")
    m.attribute("log_number")
    m.resource("line", 9)
    m.counter("runs", values=2)
    m.program(
        "p",
        [
            s.Seize("line"),
            s.Count("runs", "log_number", by="site", function="log"),
            s.Delay("run", 10.0, log_effects={"log_number": -0.32}),
            s.Free(),
            s.End("made"),
        ],
    )
    site = np.array([0, 1, 0, 0, 1, 0, 0, 0, 0, 0], float)
    result = both(m, Arrivals(np.arange(10) * 20.0, attributes={"site": site}))
    number = np.array([1, 1, 2, 3, 2, 4, 5, 6, 7, 8])
    np.testing.assert_allclose(result.patients.end_time - result.patients.start, 10.0 * number**-0.32, rtol=1e-12)
    assert result.counters["runs"].tolist() == [8.0, 2.0]


def test_learning_moves_the_odds_of_success() -> None:
    """log odds 0 + 0.7 log n: P(success of run n) = n^0.7 / (1 + n^0.7)."""
    m = FlowModel("learning")
    m.attribute("log_number")
    m.counter("runs")
    m.program(
        "p",
        [
            s.Count("runs", "log_number", function="log"),
            s.Chance("succeeds", 0.5, s.End("failed"), logit_effects={"log_number": 0.7}),
            s.End("made"),
        ],
    )
    n = 20_000
    ok = simulate(compile_model(m), Arrivals(np.arange(n, dtype=float)), seed=4).patients.ended("made")
    number = np.arange(1, n + 1) ** 0.7
    p = number / (1 + number)
    assert abs(ok.sum() - p.sum()) < 4 * math.sqrt((p * (1 - p)).sum())


def test_calendar_time_and_reading_a_counter() -> None:
    m = FlowModel("read")
    for name in ("day", "seen", "number", "years"):
        m.attribute(name)
    m.counter("runs", start=100.0)
    m.program(
        "p",
        [
            s.Count("runs", "seen", step=0.0),
            s.Count("runs", "number", step=2.0),
            s.Now("day"),
            s.Set("years", "day", 1 / 10.0, function="floor"),
            s.Set("years", "years", 2.0, function="exp"),
            s.End("done"),
        ],
    )
    result = both(m, Arrivals(np.array([10.0, 20.0])))
    assert result.patients.attribute("day").tolist() == [10.0, 20.0]
    assert result.patients.attribute("seen").tolist() == [100.0, 102.0]
    assert result.patients.attribute("number").tolist() == [102.0, 104.0]
    np.testing.assert_allclose(result.patients.attribute("years"), 2.0 * np.exp([1.0, 2.0]), rtol=1e-15)


def depots(matrix: Sequence[Sequence[int]] | None) -> FlowModel:
    m = FlowModel("depots")
    m.attribute("region")
    m.attribute("from")
    m.stock("east", initial=[(1, 100.0)])
    m.stock("west", initial=[(3, 100.0)])
    m.depots("depot", ["east", "west"], attribute="region", matrix=matrix)
    m.clock("patience", s.End("left"), law=5.0, armed=True)
    m.program("p", [s.Take("depot", into="from"), s.End("treated")])
    return m


def test_depots_by_attribute_and_with_a_second_choice() -> None:
    arrivals = Arrivals(np.array([1.0, 2.0, 3.0]), attributes={"region": np.array([0.0, 0.0, 1.0])})
    result = both(depots(None), arrivals)
    assert result.patients.count() == {"treated": 2, "left": 1}
    assert result.on_hand == {"east": 0, "west": 2}
    result = both(depots([[0, 1], [1, 0]]), arrivals)
    assert result.patients.attribute("from").tolist() == [0.0, 1.0, 1.0]
    assert result.on_hand == {"east": 0, "west": 1}
    # Only its own depot is listed: the second waits there until it leaves.
    assert both(depots([[0], [1]]), arrivals).patients.end_time.tolist() == [1.0, 7.0, 3.0]


def test_a_lot_goes_to_the_depot_of_its_attribute() -> None:
    m = depots(None)
    m.attribute("region", 1.0, entity="lot")
    m.stock("plant", reorder_point=0, order_up_to=1, lot_program="lot", review_until=1.0)
    m.program("lot", [s.Delay("culture", 2.0), s.Put("to depot", "depot", 4.0, 50.0), s.End("shipped")], entity="lot")
    result = both(m, Arrivals(np.array([0.0]), attributes={"region": np.array([0.0])}))
    assert result.on_hand == {"east": 0, "west": 7, "plant": 0}


def recall_model(days: float) -> FlowModel:
    m = FlowModel("recall")
    m.attribute("withdrawn", entity="lot")
    m.stock("doses", initial=[(2, 100.0)], reorder_point=1, order_up_to=5, lot_program="lot", doses_per_lot=5)
    m.program("p", [s.Take("doses", 2), s.Mark("taken"), s.End("treated")])
    m.program(
        "lot",
        [
            s.Delay("culture", 10.0),
            s.Put("to stock", "doses", 5.0, 60.0),
            s.Delay("until the complaint", days),
            s.Withdraw("doses", into="withdrawn"),
            s.End("recalled"),
        ],
        entity="lot",
    )
    return m


def test_every_dose_leads_to_its_lots_and_a_recall_takes_the_rest() -> None:
    result = both(recall_model(20.0), Arrivals(np.array([0.0, 11.0, 12.0, 13.0, 45.0])))
    doses = result.doses
    assert doses.patient.tolist()[:4] == [0, 1, 2, 3]
    # Patient 3 got the last dose of lot 1 and one of the next lot.
    lots = [doses.lots_of(i).tolist() for i in range(4)]
    assert lots[0] == [0] and lots[1] == [1] and lots[2] == [1] and len(lots[3]) == 2
    assert doses.patients_of(1).tolist() == [1, 2, 3]
    assert doses.patients_of(1, until=11.5).tolist() == [1]
    assert result.on_hand_of(1, day=12.5) == {"doses": 1}
    b, use = result.batches, result.stock("doses")
    assert use.withdrawn == b.withdrawn.sum() > 0
    assert (
        b.doses == np.bincount(doses.lot, doses.doses, len(result.lots))[b.lot] + b.expired + b.withdrawn + b.on_hand
    ).all()
    assert 2 + use.received == use.taken + use.expired + use.withdrawn + result.on_hand["doses"]
    of_lot = np.zeros(len(result.lots))
    np.add.at(of_lot, b.lot, b.withdrawn)
    np.testing.assert_array_equal(result.lots.attribute("withdrawn"), of_lot)
    assert np.isnan(b.removed_day[b.expired + b.withdrawn == 0]).all()


def test_a_withdrawn_lot_does_not_expire_again() -> None:
    result = both(recall_model(5.0), Arrivals(np.array([0.0, 200.0])))
    use = result.stock("doses")
    assert use.expired == 0.0
    assert use.withdrawn == use.received - use.taken + 2.0


def fragile(
    running: Distribution | float, repair: Distribution | float, service: float, capacity: int = 1
) -> FlowModel:
    m = FlowModel("fragile")
    m.resource("line", capacity)
    m.breakdown("line", running_days=running, repair_days=repair)
    m.program(
        "p",
        [
            s.Label("again"),
            s.Seize("line", breakdown="lost"),
            s.Mark("start", keep="both"),
            s.Delay("run", service),
            s.Free(),
            s.End("made"),
            s.Label("lost"),
            s.Mark("lost", log=True),
            s.Retry("another", 1, "again", s.End("lost twice")),
        ],
    )
    return m


def test_running_time_goes_on_from_run_to_run_and_a_breakdown_loses_the_batch() -> None:
    """Running 5 days to a breakdown, repair 3: the second run breaks down at day 11, after 4 + 1 days of running."""
    result = both(fragile(5.0, 3.0, 4.0), Arrivals(np.array([0.0, 10.0])))
    assert result.patients.mark("start", "first").tolist() == [0.0, 10.0]
    assert result.patients.mark("start", "last").tolist() == [0.0, 14.0]
    assert result.patients.end_time.tolist() == [4.0, 18.0]
    use = result.resource("line")
    assert (use.busy, use.down, use.breakdowns, use.seizes) == (9.0, 3.0, 1.0, 3.0)
    assert result.patients.log.of("lost")[1].tolist() == [11.0]


def test_the_other_servers_go_on() -> None:
    result = both(fragile(5.0, 100.0, 4.0, capacity=2), Arrivals(np.array([0.0, 6.0, 7.5])))
    # The first server runs from 0 to 4 and from 6 to 7, when it breaks down; that batch starts again at once on the
    # second, which runs from 7 to 11 and from 11 to 12. The last batch waits for the repair of the first at 107.
    assert result.patients.mark("start", "first").tolist() == [0.0, 6.0, 11.0]
    assert result.patients.mark("start", "last").tolist() == [0.0, 7.0, 107.0]
    use = result.resource("line")
    assert (use.breakdowns, use.busy) == (2.0, 4.0 + 1.0 + 4.0 + 1.0 + 4.0)


def test_an_exponential_running_time_is_a_hazard_on_each_run() -> None:
    """P(batch lost) = 1 - exp(-run / mean), whatever the run before."""
    n, run, mean = 20_000, 3.0, 20.0
    m = fragile(Exponential(mean), 0.0, run)
    result = simulate(compile_model(m), Arrivals(np.arange(n) * 50.0), seed=2)
    lost = result.patients.log.count("lost", n) > 0
    p = 1 - math.exp(-run / mean)
    assert abs(lost.mean() - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_breakdowns_are_keyed_by_server_not_by_patient() -> None:
    days = np.arange(200) * 30.0
    m = compile_model(fragile(Exponential(20.0), Uniform(1.0, 5.0), 3.0))
    a = simulate(m, Arrivals(days), seed=3)
    b = simulate(m, Arrivals(days, identity=np.arange(1_000, 1_200, dtype=np.uint64)), seed=3)
    np.testing.assert_array_equal(a.patients.log.of("lost")[1], b.patients.log.of("lost")[1])
    assert a.resource("line").down == b.resource("line").down > 0


def test_antithetic_uniforms_are_one_minus() -> None:
    m = FlowModel("uniform")
    m.program("p", [s.Delay("u", Uniform(0.0, 1.0)), s.End("done")])
    tables, arrivals = compile_model(m), Arrivals(np.zeros(500))
    a, b = (simulate(tables, arrivals, seed=6, antithetic=flag).patients.end_time for flag in (False, True))
    np.testing.assert_array_equal(a, 1.0 - b)


BAD: dict[str, tuple[object, str]] = {
    "matrix": (lambda m: m.setup("line", attribute="x", products=2, changeover=[[0.0]]), "a row and a column"),
    "campaign": (
        lambda m: m.setup("line", attribute="x", products=1, changeover=[[0.0]], campaign=0),
        "whole number of runs",
    ),
    "resource": (lambda m: m.setup("lien", attribute="x", products=1, changeover=[[0.0]]), "Did you mean 'line'"),
    "negative": (lambda m: m.setup("line", attribute="x", products=1, changeover=[[-1.0]]), "cannot be negative"),
    "attribute": (
        lambda m: m.setup("line", attribute="z", products=1, changeover=[[1.0]]),
        "unknown patient attribute",
    ),
    "initial": (
        lambda m: m.setup("line", attribute="x", products=1, changeover=[[1.0]], initial=4),
        "initial product of a server",
    ),
    "breakdown": (lambda m: m.breakdown("line", running_days=1.0, repair_days=1.0), "say with `breakdown`"),
    "depots": (lambda m: m.depots("depot", ["nowhere"], attribute="x"), "unknown stock"),
    "depot row": (
        lambda m: (m.stock("a"), m.depots("depot", ["a"], attribute="x", matrix=[[3]])),
        "numbers of its stocks",
    ),
    "counter": (lambda m: m.counter("c", values=0), "whole number of values"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_declarations_are_refused(case: str) -> None:
    declare, message = BAD[case]
    m = FlowModel("bad")
    m.attribute("x")
    m.resource("line", 1)
    m.program("p", [s.Seize("line"), s.Delay("run", 1.0), s.Free(), s.End("made")])
    with pytest.raises(InputError, match=message):
        declare(m)  # type: ignore[operator]
        compile_model(m)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([s.Count("nothing"), s.End("e")], "unknown counter"),
        ([s.Count("many", "x"), s.End("e")], "needs `by`"),
        ([s.Set("x", 1.0, function="sin"), s.End("e")], "unknown function"),
        ([s.Withdraw("doses"), s.End("e")], "only a lot can withdraw"),
        ([s.Take("doses", into="x"), s.End("e")], "single stock"),
        ([s.Seize("plain", breakdown=s.End("lost")), s.Free(), s.End("e")], "no server that this step takes"),
        (
            [s.Seize("line"), s.Free(), s.Delay("d", 1.0), s.Seize("line"), s.Free(), s.End("e")],
            "changeovers under one name",
        ),
    ],
)
def test_bad_steps_are_refused(steps: list[s.Step], message: str) -> None:
    m = FlowModel("bad")
    m.attribute("x")
    m.resource("line", 1)
    m.resource("plain", 1)
    m.setup("line", attribute="x", products=1, changeover=[[Exponential(1.0)]])
    m.counter("many", values=2)
    m.stock("doses", initial=[(1, 9.0)])
    m.program("p", steps)
    with pytest.raises(InputError, match=message):
        compile_model(m)


@pytest.mark.parametrize(
    ("step", "x", "message"),
    [
        (s.Seize("line"), 2.0, "not the number of a product.*line|line.*not the number of a product"),
        (s.Take("depot"), -1.0, "number of a stock"),
        (s.Count("many", by="x"), 2.0, "value of the counter"),
        (s.Set("x", "x", function="log"), 0.0, "no value here"),
        (s.Set("x", "x", function="reciprocal"), 0.0, "no value here"),
    ],
)
def test_a_bad_attribute_stops_the_run_in_both(step: s.Step, x: float, message: str) -> None:
    m = FlowModel("bad")
    m.attribute("x")
    m.resource("line", 1)
    m.setup("line", attribute="x", products=2, changeover=MATRIX)
    m.counter("many", values=2)
    m.stock("doses", initial=[(1, 9.0)])
    m.depots("depot", ["doses"], attribute="x")
    m.program("p", [step, s.Free(), s.End("e")] if isinstance(step, s.Seize) else [step, s.End("e")])
    tables = compile_model(m)
    for run in (simulate, simulate_reference):
        with pytest.raises(InputError, match=message):
            run(tables, Arrivals(np.zeros(1), attributes={"x": np.array([x])}), seed=1)


def test_the_diagram_shows_breakdowns_and_set_up() -> None:
    m = fragile(5.0, 3.0, 4.0)
    m.attribute("product")
    m.setup("line", attribute="product", products=2, changeover=MATRIX, campaign=4)
    text = mermaid(compile_model(m))
    assert "-->|breakdown|" in text
    assert "set-up by product, campaigns of 4" in text


def test_lots_left_waiting_for_a_bank_that_is_used_up_keep_their_time() -> None:
    """The second lot takes a line at day 0 and waits for a vial of the bank until the last patient leaves on day 30."""
    m = FlowModel("bank")
    m.resource("line", 2)
    m.stock("bank", initial=[(1, math.inf)])
    m.stock("doses", reorder_point=0, order_up_to=2, lot_program="lot", doses_per_lot=1)
    m.program("p", [s.Take("doses"), s.Delay("follow-up", 20.0), s.End("treated")])
    m.program(
        "lot",
        [
            s.Seize("line"),
            s.Take("bank"),
            s.Delay("culture", 10.0),
            s.Free(),
            s.Put("to stock", "doses", 1.0, 90.0),
            s.End("made"),
        ],
        entity="lot",
    )
    result = both(m, Arrivals(np.array([0.0])))
    assert result.patients.end_time.tolist() == [30.0]
    use = result.resource("line")
    slow = simulate_reference(compile_model(m), Arrivals(np.array([0.0])), seed=1)
    np.testing.assert_allclose(result.stock_statistics, slow.stock_statistics, atol=1e-9)
    assert result.stock("bank").waiting > 0.0 and use.busy <= use.capacity
    assert result.lots.count()["in progress"] >= 1
