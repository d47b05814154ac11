"""The flat tables that both interpreters read: column numbers, operation codes and the tuple of arrays.

Everything is int64, uint64 or float64, so the format is neutral to the language of the interpreter.
Variable-length rows (effects, branches, candidates, ...) are stored end to end, addressed by a start and a count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Float = npt.NDArray[np.float64]

# Operations of the program.
END, DELAY, CHANCE, SWITCH, SEIZE, FREE, JUMP, SET, TEST, RETRY = range(10)
MARK, ARM, DISARM, GATE, PRIORITY, TAKE, PUT, SPAWN, JOIN, STATE, IN_STATE, WITHDRAW = range(10, 22)
OPERATION_NAMES = (
    "end", "delay", "chance", "switch", "seize", "free", "jump", "set", "test", "retry",
    "mark", "arm", "disarm", "gate", "priority", "take", "put", "spawn", "join", "state", "in state", "withdraw",
)  # fmt: skip

# Columns of `program` (one row per step). A to D mean what the operation says; see compile.py.
# EXTRA: of SEIZE the row to go to when a server breaks down, of SET a function, of TAKE the attribute that receives the
# number of the stock chosen.
OP, A, B, C, D, E, LAW, SECOND_LAW, EFFECT, EFFECTS, OCCURRENCE, CLASS_KIND, CLASS_VALUE, EXTRA = range(14)
PROGRAM_COLUMNS = 14

# Where a priority, a quantity or a value comes from.
FROM_ENTITY, FROM_CONSTANT, FROM_ATTRIBUTE, FROM_LAW, FROM_COUNTER, FROM_TIME = range(6)
# Functions of a value that SET stores.
IDENTITY, LOG, EXP, FLOOR, RECIPROCAL = range(5)
FUNCTIONS = ("identity", "log", "exp", "floor", "reciprocal")

# Laws: columns of `law_code` are kind, first probability, first value, number of knots; of `law_parameter` up to four
# numbers (of TABLE: shift, scale).
CONSTANT, EXPONENTIAL, UNIFORM, TRIANGULAR, NORMAL, LOGNORMAL, WEIBULL, TABLE = range(8)

# Routing rules of groups; columns of `group_rule`: rule, attribute, first candidate, candidates, first row of the
# matrix in `route`, rows of that matrix, queue length from which a preference overflows.
FIXED, BY_ATTRIBUTE, SHORTEST_QUEUE, FIRST_FREE, NEAREST = range(5)

# Servers that differ (set-up, breakdown); columns of `server_rule`, one row per resource: first unit, units (0: the pool
# is anonymous), products (0: no set-up), first entry of the changeover matrix in `setup_law`, longest campaign, column
# of the product in the attributes of patients and of lots, law of the running time to a breakdown (-1: none), of repair.
(
    UNIT_FIRST, UNITS, PRODUCTS, CHANGEOVER, CAMPAIGN, PRODUCT_OF_PATIENT, PRODUCT_OF_LOT, BREAKDOWN, REPAIR_LAW,
) = range(9)  # fmt: skip
SERVER_COLUMNS = 9

# Stocks to choose from; columns of `depot_rule`: first candidate in `candidate`, candidates, column of the attribute of
# patients (-1: a single stock) and of lots, first entry in `route`, rows of the matrix (0: none), length of a row.
DEPOT_COLUMNS = 7

# Clocks; columns of `clock_rule`: kind, action, operand, armed at arrival, first break, breaks, first rate, law,
# first effect, effects, occurrence counter.
HAZARD, DEADLINE = range(2)
FIRE_END, FIRE_GOTO, FIRE_STATE = range(3)

# Stocks; columns of `stock_rule`: review rule, entry of the lot program, priority class of lots. Of `stock_level`:
# s, S or Q, doses planned per lot, end of review.
NO_REVIEW, ORDER_UP_TO, FIXED_QUANTITY = range(3)

# Columns of `mark_rule`: column for the first time, column for the last time, log code (-1: not stored).
# Comparison codes of TEST.
COMPARISONS = ("<", "<=", "==", "!=", ">", ">=")

MAX_HELD = 4

# Resource statistics: (total, in the window) pairs.
BUSY, QUEUE, SEIZES, CAPACITY, DRAIN, SETUP, CHANGEOVERS, DOWN, BREAKDOWNS = range(0, 18, 2)
RESOURCE_STATISTICS = 18
# Stock statistics: (total, in the window) pairs.
RECEIVED, TAKEN, EXPIRED, STOCK_OUT, WAITING, WAITED, ON_HAND, WITHDRAWN = range(0, 16, 2)
STOCK_STATISTICS = 16

# Errors that an interpreter can stop with.
OK, EVENT_CAP, STUCK, BAD_ROUTE, GROW, BAD_PRODUCT, BAD_DEPOT, BAD_COUNTER, BAD_FUNCTION = range(9)


class ModelTables(NamedTuple):
    """Arrays of one compiled model. Shapes: n steps, L laws, G groups, R resources, K clocks, S stocks."""

    program: Int64  # (n, PROGRAM_COLUMNS)
    step_value: Float  # (n, 2) constants of steps
    slot_hash: UInt64  # (n, 2) stable hash of the step's name; the second is for a second draw of the step
    law_code: Int64  # (L, 4)
    law_parameter: Float  # (L, 4)
    knot_probability: Float
    knot_value: Float
    effect_attribute: Int64
    effect_beta: Float
    branch_cumulative: Float
    branch_target: Int64
    seize_group: Int64  # groups of a SEIZE, and of a FREE
    copy_from: Int64  # attribute of the source
    copy_to: Int64  # attribute of the destination
    group_rule: Int64  # (G, 7)
    candidate: Int64
    route: Int64  # candidate numbers, by row of the attribute
    server_rule: Int64  # (R, SERVER_COLUMNS)
    setup_law: Int64  # law of the changeover (-1: no time), rows by product before (the first: none), columns after
    setup_mean: Float
    initial_product: Int64  # (units,) -1: none
    depot_rule: Int64  # (D, DEPOT_COLUMNS); the first S are single stocks
    counter_start: Float  # (counter values,)
    initial_capacity: Int64  # (R,) at time 0
    calendar_rule: Int64  # (R, 3) first change, changes, change to loop back to (-1: none)
    calendar_period: Float  # (R,)
    change_time: Float
    change_capacity: Int64
    gate_rule: Int64  # (gates, 4) first window, windows, first repeating window, repeating windows
    gate_period: Float  # (gates, 2) start of the repeating part, period
    window_open: Float
    window_close: Float
    clock_rule: Int64  # (K, 11)
    clock_slot: UInt64  # (K,)
    clock_break: Float  # start of each segment of time since arrival, the first is 0
    clock_rate: Float  # per day, (state, segment) rows of each clock
    stock_rule: Int64  # (S, 3)
    stock_level: Float  # (S, 4)
    initial_stock: Int64  # of each batch on hand at the start: its stock
    initial_doses: Int64
    initial_shelf_life: Float
    mark_rule: Int64  # (marks, 3)
    default_attribute: Float  # of dynamic entities (lots, children), one per column
    sizes: Int64  # see the SIZE_ constants


# Entries of `sizes`.
(
    SIZE_CLASSES,
    SIZE_STATES,
    SIZE_OCCURRENCES,
    SIZE_ATTRIBUTES,  # columns of arriving entities
    SIZE_DYNAMIC_ATTRIBUTES,  # columns of lots and children
    SIZE_MARKS,
    SIZE_DYNAMIC_MARKS,
    SIZE_INITIAL_STATUS,  # status code of initial stock
) = range(8)
SIZES = 8


class EntityInputs(NamedTuple):
    """Arriving entities, sorted by (time, id); flat attributes in rows of SIZE_ATTRIBUTES columns."""

    time: Float
    identity: UInt64
    entry: Int32
    state: Int32
    attribute: Float
    kind_state: UInt64  # (1 + S + 1 + R,) key state after seed and kind: arriving, lots by stock, children, resources
    flip: UInt64  # (1,) all ones for antithetic draws, else 0


RawResult = tuple[Any, ...]
