"""The compiled interpreter of the tables: one function, one signature, no state outside its arguments.

Live entities have a slot of a few cache lines, reused when they leave; what is kept of every entity (end, attributes,
marks) lies in rows beside it. An entity has at most one event at work: the end of its step, or its first clock when
that comes earlier. The order of work at one time: entities that can go on (in the order in which they were let go),
lots to start, then events by (class, row), then arrivals.
"""

# The compiled functions take arrays whose types Numba infers.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math

import numpy as np

from cartsight.simulation.draws import (
    absorb,
    law_quantile,
    quantile_of,
    uniform,
)
from cartsight.simulation.event_list import (
    drop_first,
    push,
)
from cartsight.simulation.jit import kernel
from cartsight.simulation.kernel_clocks import (
    arm,
    disarm,
    effect_sum,
    first_clock,
    next_occurrence,
    next_open,
    rescale_hazards,
    use_hazards,
)
from cartsight.simulation.kernel_servers import (
    REPAIR_TIME,
    RUNNING_TIME,
    blocking_server,
    change_servers,
    choose,
    clear_slot,
    end_changeover,
    fail_unit,
    first_waiting,
    give_back,
    go_on_first,
    join_queue,
    leave_queue,
    make_ready,
    next_breakdown,
    serve,
    stop_waiting,
    take_servers,
    unit_draw,
    wait_for,
)
from cartsight.simulation.kernel_stocks import (
    add_batch,
    change_on_hand,
    choose_stock,
    class_now,
    expire,
    hand_out,
    lots_to_start,
    serve_stock,
    withdraw,
)
from cartsight.simulation.kernel_values import amount_of, applied, holds
from cartsight.simulation.state import (
    BATCH_DOSES,
    BATCHES,
    BREAK_TIME,
    CAPACITY_CHANGE,
    CHANGE,
    CHANGING,
    CHILD,
    CHILDREN,
    CHILDREN_STARTED,
    CLASS,
    CLASS_NOW,
    CLASS_SHIFT,
    CLOCK,
    CLOCK_PUSHED,
    CLOCK_TIME,
    CULPRIT,
    CULPRIT_GROUP,
    DELAYED,
    DOSED,
    EVENTS,
    EXPIRY,
    HEALTH,
    HEAP,
    HELD,
    IDLE,
    IDLE_UNIT,
    JOINING,
    KIND,
    LIVE,
    LOGGED,
    MODE,
    NEXT,
    ORDERED,
    PARENT,
    PART_MASK,
    PATIENT,
    PATIENTS,
    PC,
    PRODUCT,
    QUEUED,
    QUEUEING,
    READY_FIRST,
    REPAIRED,
    ROW,
    ROW_MASK,
    ROW_SHIFT,
    ROWS,
    RUNNING,
    SEIZE_SHIFT,
    SERVER,
    SLOTS,
    SOURCE,
    SPAWN_BY,
    SPAWN_ENTRY,
    SPAWN_NUMBER,
    SPAWN_ROW,
    STEP_END,
    STEP_TIME,
    TICKET,
    UNIT_BREAKS,
    UNIT_LEFT,
    UNIT_RESOURCE,
    UNIT_SHIFT,
    UNIT_STATE,
    UNUSED,
    UPCOMING,
    VERSION,
    VERSION_MASK,
    WANTED,
)
from cartsight.simulation.tables import (
    ARM,
    BAD_COUNTER,
    BAD_DEPOT,
    BAD_FUNCTION,
    BAD_PRODUCT,
    BAD_ROUTE,
    BREAKDOWN,
    CHANCE,
    DELAY,
    DISARM,
    DOWN,
    EFFECT,
    EFFECTS,
    EVENT_CAP,
    EXTRA,
    FIRE_GOTO,
    FIRE_STATE,
    FREE,
    FROM_ATTRIBUTE,
    FROM_COUNTER,
    FROM_LAW,
    FROM_TIME,
    GATE,
    GROW,
    HAZARD,
    IDENTITY,
    IN_STATE,
    JOIN,
    JUMP,
    LAW,
    MARK,
    NO_REVIEW,
    OCCURRENCE,
    OK,
    OP,
    PRIORITY,
    PRODUCT_OF_LOT,
    PRODUCT_OF_PATIENT,
    PRODUCTS,
    PUT,
    RECEIVED,
    REPAIR_LAW,
    RETRY,
    SECOND_LAW,
    SEIZE,
    SET,
    SETUP,
    SIZE_ATTRIBUTES,
    SIZE_CLASSES,
    SIZE_DYNAMIC_ATTRIBUTES,
    SIZE_DYNAMIC_MARKS,
    SIZE_MARKS,
    SIZE_OCCURRENCES,
    SPAWN,
    STATE,
    STUCK,
    SWITCH,
    TAKE,
    TEST,
    WAITED,
    WAITING,
    WITHDRAW,
    A,
    B,
    C,
    D,
    E,
)

INF = math.inf
IDLE_CHANGES = 100_000


@kernel
def interpret(
    program, step_value, slot_hash, law_code, law_parameter, knot_probability, knot_value,
    effect_attribute, effect_beta, branch_cumulative, branch_target, seize_group, copy_from, copy_to,
    group_rule, candidate, route, server_rule, setup_law, setup_mean, initial_product, depot_rule, counter_start,
    initial_capacity, calendar_rule, calendar_period, change_time,
    change_capacity, gate_rule, gate_period, window_open, window_close, clock_rule, clock_slot,
    clock_break, clock_rate, stock_rule, stock_level, initial_stock, initial_doses, initial_shelf_life,
    mark_rule, default_attribute, sizes,
    arrival_time, arrival_identity, arrival_entry, arrival_state, arrival_attribute, kind_state, flip_word,
    registers, clock_and_ticket, returned, end_time, status, slot_of, attribute, marks, dynamic, dynamic_start,
    log_row, log_code, log_time, L, F, keys, clocks, counts, memory, times, orders,
    capacity, free, waiting, first, last, down, units, unit_time, statistics, drained, change_at, change_shift, capacity_since,
    on_hand, on_order, short, lots_started, to_start, review, stock_statistics, head,
    batch_row, batch_left, batch_expiry, batch_stock, following, batch_record, batch_time, dose_record, dose_time, tally,
    window_start, window_end, event_limit,
):  # fmt: skip
    """Interpret the tables (`ModelTables`) on the arrivals (`EntityInputs`) from a `RunState` on, in place.

    Stops at the end, at an error, or when an array of the state is full (GROW); called again with larger arrays it
    goes on where it stopped. No array is replaced inside, which keeps reference counting out of the loop.
    """
    arrivals = arrival_time.size
    classes = sizes[SIZE_CLASSES]
    width = sizes[SIZE_ATTRIBUTES]
    dynamic_width = sizes[SIZE_DYNAMIC_ATTRIBUTES]
    mark_width = sizes[SIZE_MARKS]
    dynamic_mark_width = sizes[SIZE_DYNAMIC_MARKS]
    counters = sizes[SIZE_OCCURRENCES]
    clock_count = clock_rule.shape[0]
    resources = initial_capacity.size
    stocks = stock_rule.shape[0]
    slot_room = keys.size
    heap_room = times.size
    dynamic_room = dynamic_start.size
    log_room = log_row.size
    batch_room = batch_row.size
    dose_room = dose_time.size
    flip = flip_word[0]
    differ = units.shape[0] > 0  # servers with a memory: without them nothing below touches what only they need
    P = program
    reg = registers

    rows = reg[ROWS]
    logged = reg[LOGGED]
    unused = reg[UNUSED]
    slots = reg[SLOTS]
    live = reg[LIVE]
    patients = reg[PATIENTS]
    heap = reg[HEAP]
    events = reg[EVENTS]
    idle_changes = reg[IDLE]
    children_started = reg[CHILDREN_STARTED]
    batches = reg[BATCHES]
    upcoming = reg[UPCOMING]
    spawn_entry = reg[SPAWN_ENTRY]
    spawn_by = reg[SPAWN_BY]
    spawn_row = reg[SPAWN_ROW]
    spawn_number = reg[SPAWN_NUMBER]
    now = clock_and_ticket[0]
    tickets = clock_and_ticket[1]
    clipped = min(max(now, window_start), window_end)
    inside = 1.0 if window_start <= now < window_end else 0.0
    outcome = OK
    for unit in range(units.shape[0]):
        law = server_rule[units[unit, UNIT_RESOURCE], BREAKDOWN]
        if law >= 0 and unit_time[unit, UNIT_LEFT] < 0.0:
            unit_time[unit, UNIT_LEFT] = unit_draw(
                law_code, law_parameter, knot_probability, knot_value, law, unit, stocks, RUNNING_TIME, 0, server_rule,
                units, kind_state, flip,
            )  # fmt: skip

    while True:
        if (
            heap + 8 > heap_room
            or (slots == slot_room and unused < 0)
            or (dynamic_room > 0 and rows - arrivals == dynamic_room)
            or (stocks > 0 and reg[DOSED] + live + batches + 8 > dose_room)
        ):
            outcome = GROW
            break
        slot = -1
        born = -1  # the stock of a lot that starts, CHILD or PATIENT
        birth = False
        if spawn_entry >= 0:
            birth = True
            born = CHILD
        elif reg[READY_FIRST] >= 0:
            slot = reg[READY_FIRST]
            reg[READY_FIRST] = L[slot, NEXT]
        else:
            for s in range(stocks):
                if review[s]:
                    review[s] = False
                    if stock_rule[s, 0] != NO_REVIEW and (patients > 0 or upcoming < arrivals):
                        to_start[s] += lots_to_start(
                            s, now, stock_rule, stock_level, on_hand, on_order, short, to_start
                        )
                if to_start[s] > 0:
                    to_start[s] -= 1
                    birth = True
                    born = s
                    break
        if not birth and slot < 0:
            # Nothing more happens now: the next event, or an arrival before it.
            if live == 0 and upcoming >= arrivals:
                break
            if upcoming < arrivals and (heap == 0 or arrival_time[upcoming] < times[0]):
                now = arrival_time[upcoming]
                clipped = min(max(now, window_start), window_end)
                inside = 1.0 if window_start <= now < window_end else 0.0
                birth = True
                born = PATIENT
                events += 1
            elif heap == 0:
                # Lots may wait for ever for a bank that is used up; they stay in progress. Patients may not.
                outcome = STUCK if patients > 0 else OK
                break
            else:
                time = times[0]
                order = orders[0]
                heap = drop_first(times, orders, heap)
                kind = order >> CLASS_SHIFT
                row = (order >> ROW_SHIFT) & ROW_MASK
                if kind in (STEP_END, CLOCK):
                    slot = int(slot_of[row])
                    if slot < 0:
                        continue
                    if kind == STEP_END:
                        if L[slot, MODE] != DELAYED or L[slot, VERSION] != order & VERSION_MASK:
                            continue
                    elif F[slot, CLOCK_TIME] != time:
                        continue
                    idle_changes = 0
                now = time
                clipped = min(max(now, window_start), window_end)
                inside = 1.0 if window_start <= now < window_end else 0.0
                events += 1
                if events > event_limit:
                    outcome = EVENT_CAP
                    reg[CULPRIT] = -1
                    break
                if kind == CAPACITY_CHANGE:
                    r = row
                    slot = -1
                    at = change_servers(
                        r, now, clipped, free, down, drained, capacity, capacity_since, change_at, change_shift,
                        change_capacity, calendar_rule, calendar_period, statistics,
                    )  # fmt: skip
                    if at >= 0:
                        heap = push(times, orders, heap, change_time[at] + change_shift[r], r << ROW_SHIFT)
                    serve(r, now, clipped, inside, classes, L, F, first, last, free, waiting, capacity, server_rule,
                          setup_law, setup_mean, units, unit_time, memory, statistics, reg)  # fmt: skip
                    idle_changes += 1
                    if idle_changes > IDLE_CHANGES and upcoming >= arrivals:
                        outcome = STUCK if patients > 0 else OK
                        break
                    continue
                if kind == REPAIRED:
                    unit = row
                    slot = -1
                    r = units[unit, UNIT_RESOURCE]
                    units[unit, UNIT_STATE] = IDLE_UNIT
                    unit_time[unit, UNIT_LEFT] = unit_draw(
                        law_code, law_parameter, knot_probability, knot_value, server_rule[r, BREAKDOWN], unit, stocks,
                        RUNNING_TIME, units[unit, UNIT_BREAKS], server_rule, units, kind_state, flip,
                    )  # fmt: skip
                    down[r] -= 1
                    free[r] += 1
                    statistics[r, DOWN] += now
                    statistics[r, DOWN + 1] += clipped
                    serve(r, now, clipped, inside, classes, L, F, first, last, free, waiting, capacity, server_rule,
                          setup_law, setup_mean, units, unit_time, memory, statistics, reg)  # fmt: skip
                    continue
                if kind == EXPIRY:
                    batch = row
                    slot = -1
                    if batch_left[batch] > 0:
                        s = batch_stock[batch]
                        expire(s, batch, now, clipped, inside, on_hand, head, following, batch_left, batch_record,
                               batch_time, stock_statistics)  # fmt: skip
                        review[s] = True
                    continue
                row = L[slot, ROW]
                base = row * width if row < arrivals else arrivals * width + (row - arrivals) * dynamic_width
                if kind == CLOCK:
                    F[slot, CLOCK_PUSHED] = -1.0  # another clock may be due at this very time
                    broken = F[slot, BREAK_TIME] <= now
                    k = 0
                    while not broken and clocks[slot, 3 * k + 2] != now:
                        k += 1
                    if not broken and clock_rule[k, 1] == FIRE_STATE:
                        use_hazards(clock_rule, clock_break, clock_rate, slot, now, L, F, clocks)
                        L[slot, HEALTH] = clock_rule[k, 2]
                        disarm(k, slot, clocks)
                        rescale_hazards(
                            clock_rule, clock_break, clock_rate, effect_attribute, effect_beta, slot, now, L, F,
                            clocks, attribute, base,
                        )  # fmt: skip
                        if clock_rule[k, 0] == HAZARD:
                            arm(
                                clock_rule, clock_break, clock_rate, clock_slot, effect_attribute, effect_beta,
                                law_code, law_parameter, knot_probability, knot_value, k, slot, now, keys[slot],
                                flip, L, F, clocks, counts, attribute, base,
                            )  # fmt: skip
                            first_clock(clock_rule, slot, F, clocks)
                        # The step goes on; its end may now come before the next clock, or after it.
                        if L[slot, MODE] == DELAYED and F[slot, STEP_TIME] <= F[slot, CLOCK_TIME]:
                            L[slot, VERSION] = (L[slot, VERSION] + 1) & VERSION_MASK
                            heap = push(
                                times, orders, heap, F[slot, STEP_TIME],
                                STEP_END << CLASS_SHIFT | row << ROW_SHIFT | L[slot, VERSION],
                            )  # fmt: skip
                        elif F[slot, CLOCK_TIME] < INF:
                            L[slot, VERSION] = (L[slot, VERSION] + 1) & VERSION_MASK
                            heap = push(
                                times, orders, heap, F[slot, CLOCK_TIME], CLOCK << CLASS_SHIFT | row << ROW_SHIFT
                            )
                            F[slot, CLOCK_PUSHED] = F[slot, CLOCK_TIME]
                        continue
                    # Cancel what it does, give back what it holds, and go elsewhere.
                    if L[slot, MODE] == QUEUEING:
                        queue = L[slot, QUEUED]
                        if queue < resources * classes:
                            stop_waiting(queue // classes, slot, now, clipped, L, first, last, waiting, statistics)
                        else:
                            s = queue // classes - resources
                            leave_queue(slot, L, first, last)
                            short[s] -= P[L[slot, PC], B]
                            stock_statistics[s, WAITING] += now
                            stock_statistics[s, WAITING + 1] += clipped
                            review[s] = True
                            serve_stock(program, copy_from, copy_to, resources, s, now, clipped, inside, arrivals, width, dynamic_width, classes, L, first, last,
                                        attribute, short, on_hand, head, following, batch_left, batch_row, dose_record, dose_time, stock_statistics,
                                        reg)  # fmt: skip
                    L[slot, WANTED] = 0
                    L[slot, MODE] = RUNNING
                    if differ and memory[slot, CHANGING] >= 0:
                        end_changeover(slot, now, clipped, memory, statistics)
                    if broken:
                        source = fail_unit(slot, now, clipped, inside, L, F, free, down, drained, server_rule, units,
                                           unit_time, statistics)  # fmt: skip
                        unit = source >> UNIT_SHIFT & PART_MASK
                        L[slot, PC] = P[source >> SEIZE_SHIFT, EXTRA]
                        days = unit_draw(
                            law_code, law_parameter, knot_probability, knot_value,
                            server_rule[units[unit, UNIT_RESOURCE], REPAIR_LAW], unit, stocks, REPAIR_TIME,
                            units[unit, UNIT_BREAKS] - 1, server_rule, units, kind_state, flip,
                        )  # fmt: skip
                        heap = push(times, orders, heap, now + days, REPAIRED << CLASS_SHIFT | unit << ROW_SHIFT)
                    else:
                        disarm(k, slot, clocks)
                        L[slot, PC] = clock_rule[k, 2] if clock_rule[k, 1] == FIRE_GOTO else -1 - clock_rule[k, 2]
                    F[slot, BREAK_TIME] = INF
                    first_clock(clock_rule, slot, F, clocks)
                    count = give_back(
                        slot, -1, now, clipped, L, free, down, drained, server_rule, units, unit_time, statistics,
                        returned,
                    )  # fmt: skip
                    for i in range(count):
                        serve(
                            returned[i], now, clipped, inside, classes, L, F, first, last, free, waiting, capacity,
                            server_rule, setup_law, setup_mean, units, unit_time, memory, statistics, reg,
                        )  # fmt: skip
                else:
                    if differ and memory[slot, CHANGING] >= 0:
                        end_changeover(slot, now, clipped, memory, statistics)
                    L[slot, PC] += 1

        if birth:
            if unused >= 0:
                slot = unused
                unused = L[slot, NEXT]
            else:
                slot = slots
                slots += 1
            live += 1
            clear_slot(slot, born, now, counters, clock_count, L, F, counts, clocks)
            if differ:
                memory[slot, CHANGE] = -1
                memory[slot, CHANGING] = -1
            if born == PATIENT:
                row = upcoming
                upcoming += 1
                patients += 1
                base = row * width
                L[slot, PC] = arrival_entry[row]
                L[slot, HEALTH] = arrival_state[row]
                keys[slot] = absorb(kind_state[0], arrival_identity[row])
                for k in range(clock_count):
                    if clock_rule[k, 3] == 1:
                        arm(
                            clock_rule, clock_break, clock_rate, clock_slot, effect_attribute, effect_beta, law_code,
                            law_parameter, knot_probability, knot_value, k, slot, now, keys[slot], flip, L, F,
                            clocks, counts, attribute, base,
                        )  # fmt: skip
                if clock_count > 0:
                    first_clock(clock_rule, slot, F, clocks)
            else:
                row = rows
                rows += 1
                base = arrivals * width + (row - arrivals) * dynamic_width
                for i in range(dynamic_width):
                    attribute[base + i] = default_attribute[i]
                for i in range(dynamic_mark_width):
                    marks[arrivals * mark_width + (row - arrivals) * dynamic_mark_width + i] = np.nan
                end_time[row] = np.nan
                status[row] = 0
                dynamic_start[row - arrivals] = now
                dynamic[row - arrivals, 0] = born
                L[slot, HEALTH] = 0
                if born == CHILD:
                    L[slot, PC] = P[spawn_entry, A]
                    L[slot, PARENT] = spawn_row
                    dynamic[row - arrivals, 1] = children_started
                    dynamic[row - arrivals, 2] = spawn_row
                    source = (
                        spawn_row * width
                        if spawn_row < arrivals
                        else arrivals * width + (spawn_row - arrivals) * dynamic_width
                    )
                    for i in range(P[spawn_entry, C], P[spawn_entry, C] + P[spawn_entry, D]):
                        attribute[base + copy_to[i]] = attribute[source + copy_from[i]]
                    # Keyed by the parent's draw and the number of the child, not by how many others there are.
                    L[spawn_by, CHILDREN] += 1
                    keys[slot] = absorb(
                        absorb(absorb(kind_state[1 + stocks], keys[spawn_by]), slot_hash[spawn_entry, 0]),
                        np.uint64(spawn_number),
                    )
                    children_started += 1
                    spawn_entry = -1
                else:
                    L[slot, PC] = stock_rule[born, 1]
                    dynamic[row - arrivals, 1] = lots_started[born]
                    dynamic[row - arrivals, 2] = -1
                    keys[slot] = absorb(kind_state[1 + born], np.uint64(lots_started[born]))
                    lots_started[born] += 1
                    F[slot, ORDERED] = stock_level[born, 2]
                    on_order[born] += stock_level[born, 2]
            L[slot, ROW] = row
            slot_of[row] = slot
            if born == CHILD:
                make_ready(slot, L, reg)
                continue

        # Let the entity go on until it waits, ends, or gives way to its child.
        row = L[slot, ROW]
        arriving = row < arrivals
        base = row * width if arriving else arrivals * width + (row - arrivals) * dynamic_width
        pc = L[slot, PC]
        while pc >= 0:
            if heap + 8 > heap_room:
                go_on_first(slot, pc, L, reg)
                break
            events += 1
            if events > event_limit:
                break
            op = P[pc, OP]

            if op == DELAY:
                u = uniform(keys[slot], slot_hash[pc, 0], next_occurrence(counts, slot, P[pc, OCCURRENCE]), flip)
                days = law_quantile(law_code, law_parameter, knot_probability, knot_value, P[pc, LAW], u)
                if P[pc, EFFECTS] > 0:
                    days *= math.exp(
                        effect_sum(effect_attribute, effect_beta, P[pc, EFFECT], P[pc, EFFECTS], attribute, base)
                    )
                F[slot, STEP_TIME] = now + days
                L[slot, MODE] = DELAYED
                break

            elif op == CHANCE:
                u = uniform(keys[slot], slot_hash[pc, 0], next_occurrence(counts, slot, P[pc, OCCURRENCE]), flip)
                p = step_value[pc, 0]
                if P[pc, EFFECTS] > 0:
                    score = effect_sum(effect_attribute, effect_beta, P[pc, EFFECT], P[pc, EFFECTS], attribute, base)
                    p = 1.0 / (1.0 + math.exp(-(step_value[pc, 1] + score)))
                pc = pc + 1 if u < p else P[pc, B]

            elif op == SEIZE:
                if differ and memory[slot, CHANGE] >= 0:
                    # It has its servers; one of them must be changed over first.
                    seen = counts[slot, P[pc, OCCURRENCE]] - 1 if P[pc, OCCURRENCE] >= 0 else 0
                    days = quantile_of(
                        law_code, law_parameter, knot_probability, knot_value, setup_law[memory[slot, CHANGE]],
                        uniform(keys[slot], slot_hash[pc, 0], seen, flip),
                    )  # fmt: skip
                    memory[slot, CHANGE] = -1
                    statistics[memory[slot, CHANGING], SETUP] -= now
                    statistics[memory[slot, CHANGING], SETUP + 1] -= clipped
                    F[slot, STEP_TIME] = now + days
                    L[slot, MODE] = DELAYED
                    break
                if P[pc, OCCURRENCE] >= 0:
                    counts[slot, P[pc, OCCURRENCE]] += 1
                held = L[slot, HELD]
                bad = OK
                for i in range(P[pc, B]):
                    g = seize_group[P[pc, A] + i]
                    chosen = choose(group_rule, candidate, route, g, attribute, base, free, waiting, capacity)
                    if chosen < 0:
                        bad = BAD_ROUTE
                        reg[CULPRIT_GROUP] = g
                        break
                    if i == 0 and P[pc, C] >= 0:
                        attribute[base + P[pc, C]] = chosen
                    r = candidate[group_rule[g, 2] + chosen]
                    L[slot, SERVER + held + i] = r
                    L[slot, SOURCE + held + i] = g | pc << SEIZE_SHIFT
                    if differ and server_rule[r, PRODUCTS] > 0:
                        column = server_rule[r, PRODUCT_OF_PATIENT] if arriving else server_rule[r, PRODUCT_OF_LOT]
                        value = attribute[base + column]
                        if not (0.0 <= value < server_rule[r, PRODUCTS]):
                            bad = BAD_PRODUCT
                            reg[CULPRIT_GROUP] = r
                            break
                        memory[slot, PRODUCT] = np.int64(value)
                if bad != OK:
                    outcome = bad
                    break
                L[slot, WANTED] = P[pc, B]
                other = blocking_server(slot, L, free)
                if other < 0:
                    take_servers(slot, now, clipped, inside, L, F, free, capacity, server_rule, setup_law, setup_mean,
                                 units, unit_time, memory, statistics)  # fmt: skip
                    if not differ or memory[slot, CHANGE] < 0:
                        pc += 1
                else:
                    L[slot, CLASS_NOW] = class_now(program, pc, slot, L, classes, attribute, base)
                    tickets += 1.0
                    F[slot, TICKET] = tickets
                    wait_for(other, slot, now, clipped, classes, L, F, first, last, waiting, statistics)
                    break

            elif op == FREE:
                count = 0
                if P[pc, B] == 0:
                    count = give_back(
                        slot, -1, now, clipped, L, free, down, drained, server_rule, units, unit_time, statistics,
                        returned,
                    )  # fmt: skip
                else:
                    for i in range(P[pc, A], P[pc, A] + P[pc, B]):
                        count += give_back(
                            slot, seize_group[i], now, clipped, L, free, down, drained, server_rule, units, unit_time,
                            statistics, returned[count:],
                        )  # fmt: skip
                if differ and F[slot, BREAK_TIME] < INF:
                    next_breakdown(slot, L, F, server_rule, unit_time)
                    first_clock(clock_rule, slot, F, clocks)
                for i in range(count):
                    serve(
                        returned[i], now, clipped, inside, classes, L, F, first, last, free, waiting, capacity,
                        server_rule, setup_law, setup_mean, units, unit_time, memory, statistics, reg,
                    )  # fmt: skip
                pc += 1

            elif op == MARK:
                m = P[pc, A]
                if mark_rule[m, 2] >= 0 and logged == log_room:
                    go_on_first(slot, pc, L, reg)
                    outcome = GROW
                    break
                at = row * mark_width if arriving else arrivals * mark_width + (row - arrivals) * dynamic_mark_width
                if mark_rule[m, 0] >= 0 and math.isnan(marks[at + mark_rule[m, 0]]):
                    marks[at + mark_rule[m, 0]] = now
                if mark_rule[m, 1] >= 0:
                    marks[at + mark_rule[m, 1]] = now
                if mark_rule[m, 2] >= 0:
                    log_row[logged] = row
                    log_code[logged] = mark_rule[m, 2]
                    log_time[logged] = now
                    logged += 1
                pc += 1

            elif op == JUMP:
                pc = P[pc, A]

            elif op == RETRY:
                counter = P[pc, OCCURRENCE]
                if counts[slot, counter] < P[pc, C]:
                    counts[slot, counter] += 1
                    pc = P[pc, A]
                else:
                    pc = P[pc, B]

            elif op == SWITCH:
                u = uniform(keys[slot], slot_hash[pc, 0], next_occurrence(counts, slot, P[pc, OCCURRENCE]), flip)
                at = P[pc, A]
                while u >= branch_cumulative[at]:
                    at += 1
                pc = branch_target[at]

            elif op == SET:
                amount = step_value[pc, 0]
                if P[pc, B] == FROM_ATTRIBUTE:
                    amount = attribute[base + P[pc, C]]
                elif P[pc, B] == FROM_LAW:
                    u = uniform(keys[slot], slot_hash[pc, 0], next_occurrence(counts, slot, P[pc, OCCURRENCE]), flip)
                    amount = quantile_of(law_code, law_parameter, knot_probability, knot_value, P[pc, LAW], u)
                elif P[pc, B] == FROM_COUNTER:
                    at = P[pc, LAW]
                    if P[pc, C] >= 0:
                        value = attribute[base + P[pc, C]]
                        if not (0.0 <= value < P[pc, SECOND_LAW]):
                            outcome = BAD_COUNTER
                            break
                        at += np.int64(value)
                    tally[at] += amount
                    amount = tally[at]
                elif P[pc, B] == FROM_TIME:
                    amount = now
                if P[pc, EXTRA] > IDENTITY:
                    amount = applied(P[pc, EXTRA], amount)
                    if math.isnan(amount):
                        outcome = BAD_FUNCTION
                        break
                if P[pc, A] < 0:
                    pc += 1
                    continue
                amount *= step_value[pc, 1]
                if P[pc, EFFECTS] > 0:
                    amount *= math.exp(
                        effect_sum(effect_attribute, effect_beta, P[pc, EFFECT], P[pc, EFFECTS], attribute, base)
                    )
                if P[pc, E] == 1:
                    use_hazards(clock_rule, clock_break, clock_rate, slot, now, L, F, clocks)
                if P[pc, D] == 1:
                    attribute[base + P[pc, A]] += amount
                else:
                    attribute[base + P[pc, A]] = amount
                if P[pc, E] == 1:
                    rescale_hazards(
                        clock_rule, clock_break, clock_rate, effect_attribute, effect_beta, slot, now, L, F, clocks,
                        attribute, base,
                    )  # fmt: skip
                pc += 1

            elif op == TEST:
                x = attribute[base + P[pc, A]]
                y = step_value[pc, 0] if P[pc, C] < 0 else attribute[base + P[pc, C]]
                pc = pc + 1 if holds(P[pc, B], x, y) else P[pc, D]

            elif op == IN_STATE:
                pc = pc + 1 if L[slot, HEALTH] == P[pc, A] else P[pc, B]

            elif op == STATE:
                if L[slot, HEALTH] != P[pc, A]:
                    if clock_count > 0:
                        use_hazards(clock_rule, clock_break, clock_rate, slot, now, L, F, clocks)
                    L[slot, HEALTH] = P[pc, A]
                    if clock_count > 0:
                        rescale_hazards(
                            clock_rule, clock_break, clock_rate, effect_attribute, effect_beta, slot, now, L, F,
                            clocks, attribute, base,
                        )  # fmt: skip
                pc += 1

            elif op == ARM:
                use_hazards(clock_rule, clock_break, clock_rate, slot, now, L, F, clocks)
                arm(
                    clock_rule, clock_break, clock_rate, clock_slot, effect_attribute, effect_beta, law_code,
                    law_parameter, knot_probability, knot_value, P[pc, A], slot, now, keys[slot], flip, L, F, clocks,
                    counts, attribute, base,
                )  # fmt: skip
                first_clock(clock_rule, slot, F, clocks)
                pc += 1

            elif op == DISARM:
                disarm(P[pc, A], slot, clocks)
                first_clock(clock_rule, slot, F, clocks)
                pc += 1

            elif op == GATE:
                opens = next_open(gate_rule, gate_period, window_open, window_close, P[pc, A], now)
                if opens > now:
                    F[slot, STEP_TIME] = opens
                    L[slot, MODE] = DELAYED
                    break
                pc += 1

            elif op == PRIORITY:
                L[slot, CLASS] = class_now(program, pc, slot, L, classes, attribute, base)
                pc += 1

            elif op == TAKE:
                if reg[DOSED] + live + batches + 8 > dose_room:
                    go_on_first(slot, pc, L, reg)
                    outcome = GROW
                    break
                d = P[pc, A]
                s = d
                if d >= stocks:
                    chosen = choose_stock(depot_rule, candidate, route, d, P[pc, B], arriving, attribute, base, resources,
                                          classes, first, on_hand)  # fmt: skip
                    if chosen < 0:
                        reg[CULPRIT_GROUP] = d
                        outcome = BAD_DEPOT
                        break
                    s = candidate[depot_rule[d, 0] + chosen]
                    if P[pc, EXTRA] >= 0:
                        attribute[base + P[pc, EXTRA]] = chosen
                L[slot, CLASS_NOW] = class_now(program, pc, slot, L, classes, attribute, base)
                tickets += 1.0
                F[slot, TICKET] = tickets
                L[slot, PC] = pc
                join_queue((resources + s) * classes + L[slot, CLASS_NOW], slot, L, F, first, last)
                short[s] += P[pc, B]
                review[s] = True
                lowest = (resources + s) * classes
                if first_waiting(lowest, classes, first) == slot and on_hand[s] >= P[pc, B]:
                    hand_out(program, copy_from, copy_to, s, slot, now, clipped, inside, arrivals, width, dynamic_width, L, first, last,
                             attribute, short, on_hand, head, following, batch_left, batch_row, dose_record, dose_time,
                             stock_statistics, reg)  # fmt: skip
                    L[slot, MODE] = RUNNING
                    pc += 1
                else:
                    stock_statistics[s, WAITING] -= now
                    stock_statistics[s, WAITING + 1] -= clipped
                    stock_statistics[s, WAITED] += 1.0
                    stock_statistics[s, WAITED + 1] += inside
                    break

            elif op == PUT:
                if batches == batch_room or reg[DOSED] + live + batches + 8 > dose_room:
                    go_on_first(slot, pc, L, reg)
                    outcome = GROW
                    break
                d = P[pc, A]
                s = d
                if d >= stocks:
                    chosen = choose_stock(depot_rule, candidate, route, d, 1 << 60, arriving, attribute, base, resources,
                                          classes, first, on_hand)  # fmt: skip
                    if chosen < 0:
                        reg[CULPRIT_GROUP] = d
                        outcome = BAD_DEPOT
                        break
                    s = candidate[depot_rule[d, 0] + chosen]
                seen = next_occurrence(counts, slot, P[pc, OCCURRENCE])
                amount = amount_of(
                    P[pc, B], P[pc, C], P[pc, LAW], step_value[pc, 0], law_code, law_parameter, knot_probability,
                    knot_value, keys[slot], slot_hash[pc, 0], seen, flip, attribute, base,
                )  # fmt: skip
                life = amount_of(
                    P[pc, D], P[pc, E], P[pc, SECOND_LAW], step_value[pc, 1], law_code, law_parameter, knot_probability,
                    knot_value, keys[slot], slot_hash[pc, 1], seen, flip, attribute, base,
                )  # fmt: skip
                doses = np.int64(math.floor(amount + 0.5))
                if F[slot, ORDERED] > 0.0:
                    on_order[L[slot, KIND]] -= F[slot, ORDERED]
                    review[L[slot, KIND]] = True
                    F[slot, ORDERED] = 0.0
                if doses > 0:
                    batch = batches
                    batches += 1
                    batch_row[batch] = row
                    batch_left[batch] = doses
                    batch_expiry[batch] = now + life
                    batch_stock[batch] = s
                    batch_record[batch, BATCH_DOSES] = doses
                    batch_time[batch, 0] = now
                    add_batch(s, batch, head, following, batch_expiry)
                    change_on_hand(s, doses, now, clipped, on_hand, stock_statistics)
                    stock_statistics[s, RECEIVED] += doses
                    stock_statistics[s, RECEIVED + 1] += doses * inside
                    if now + life < INF:
                        heap = push(times, orders, heap, now + life, EXPIRY << CLASS_SHIFT | batch << ROW_SHIFT)
                    serve_stock(program, copy_from, copy_to, resources, s, now, clipped, inside, arrivals, width, dynamic_width, classes, L, first, last,
                                attribute, short, on_hand, head, following, batch_left, batch_row, dose_record, dose_time, stock_statistics,
                                reg)  # fmt: skip
                review[s] = True
                pc += 1

            elif op == WITHDRAW:
                s = P[pc, A]
                doses = withdraw(s, row, now, clipped, inside, on_hand, head, following, batch_left, batch_row,
                                 batch_record, batch_time, stock_statistics)  # fmt: skip
                if P[pc, E] >= 0:
                    attribute[base + P[pc, E]] = doses
                review[s] = True
                pc += 1

            elif op == SPAWN:
                spawn_entry = pc
                spawn_by = slot
                spawn_row = row
                spawn_number = next_occurrence(counts, slot, P[pc, OCCURRENCE])
                pc += 1
                go_on_first(slot, pc, L, reg)
                break

            elif op == JOIN:
                if L[slot, CHILDREN] > 0:
                    L[slot, MODE] = JOINING
                    break
                pc += 1

            else:
                pc = -1 - P[pc, A]

        if events > event_limit:
            outcome = EVENT_CAP
            reg[CULPRIT] = pc
            break
        if outcome != OK:
            reg[CULPRIT] = pc
            break
        if pc >= 0:
            # The entity waits: for the end of a step if that comes before its first clock, else for the clock.
            L[slot, PC] = pc
            if L[slot, MODE] == DELAYED and F[slot, STEP_TIME] <= F[slot, CLOCK_TIME]:
                L[slot, VERSION] = (L[slot, VERSION] + 1) & VERSION_MASK
                heap = push(
                    times, orders, heap, F[slot, STEP_TIME],
                    STEP_END << CLASS_SHIFT | row << ROW_SHIFT | L[slot, VERSION],
                )  # fmt: skip
            elif L[slot, MODE] != RUNNING and F[slot, CLOCK_TIME] != F[slot, CLOCK_PUSHED]:
                F[slot, CLOCK_PUSHED] = F[slot, CLOCK_TIME]
                if F[slot, CLOCK_TIME] < INF:
                    heap = push(times, orders, heap, F[slot, CLOCK_TIME], CLOCK << CLASS_SHIFT | row << ROW_SHIFT)
            continue

        # The entity leaves.
        count = give_back(
            slot, -1, now, clipped, L, free, down, drained, server_rule, units, unit_time, statistics, returned
        )
        for i in range(count):
            serve(returned[i], now, clipped, inside, classes, L, F, first, last, free, waiting, capacity, server_rule,
                  setup_law, setup_mean, units, unit_time, memory, statistics, reg)  # fmt: skip
        end_time[row] = now
        status[row] = -1 - pc
        slot_of[row] = -1
        if L[slot, KIND] == PATIENT:
            patients -= 1
        elif L[slot, KIND] >= 0:
            s = L[slot, KIND]
            on_order[s] -= F[slot, ORDERED]
            review[s] = True
        parent = L[slot, PARENT]
        if parent >= 0 and slot_of[parent] >= 0:
            waiter = np.int64(slot_of[parent])
            L[waiter, CHILDREN] -= 1
            if L[waiter, CHILDREN] == 0 and L[waiter, MODE] == JOINING:
                L[waiter, PC] += 1
                make_ready(waiter, L, reg)
        L[slot, NEXT] = unused
        unused = slot
        live -= 1

    reg[ROWS] = rows
    reg[LOGGED] = logged
    reg[UNUSED] = unused
    reg[SLOTS] = slots
    reg[LIVE] = live
    reg[PATIENTS] = patients
    reg[HEAP] = heap
    reg[EVENTS] = events
    reg[IDLE] = idle_changes
    reg[CHILDREN_STARTED] = children_started
    reg[BATCHES] = batches
    reg[UPCOMING] = upcoming
    reg[SPAWN_ENTRY] = spawn_entry
    reg[SPAWN_BY] = spawn_by
    reg[SPAWN_ROW] = spawn_row
    reg[SPAWN_NUMBER] = spawn_number
    clock_and_ticket[0] = now
    clock_and_ticket[1] = tickets
    return outcome
