"""What is known of a point is the same whether its readings come one by one or as a meter gave them."""

from __future__ import annotations

import random

from hakari.wire.wide import Rows, Shape, Wide
from ingest.watch.health import Tracker
from ingest.watch.seen import Seen

INTERVAL_MS = 60_000
NAMES = ("a", "b", "c")
START_MS = 1_467_356_400_000


def tracker(seed: int) -> Tracker:
    made = Tracker()
    for k, name in enumerate(NAMES):
        made.recovered(f"sola-e1/m/{name}", INTERVAL_MS * (1 + (seed + k) % 2), START_MS, [])
    return made


def state(tracker: Tracker) -> list[tuple[object, ...]]:
    return [(name, one.last, one.good, one.changed_ms, one._newest, one._bits) for name, one in tracker._seen.items()]


def leaf(rnd: random.Random, slot: int) -> list[Wide]:
    """A few samples of one meter: with gaps, sometimes out of order, of one shape or two, GOOD or not."""
    shapes = [
        Shape("sola-e1", "m", NAMES, ["u32"] * 3, [exponent] * 3, [0, 0, quality], ["", "", "late" * quality])
        for exponent, quality in ((0, 0), (0, 0), (1, 0), (0, 1))
    ]
    kept = rnd.choice(shapes)
    slots = sorted(
        slot + k + (2000 if rnd.random() < 0.01 else rnd.choice((0, 0, 3))) for k in range(rnd.randint(1, 6))
    )
    if rnd.random() < 0.2:
        rnd.shuffle(slots)
    return [
        Wide(
            rnd.choice(shapes) if rnd.random() < 0.1 else kept, START_MS + at * INTERVAL_MS, 1, 1, "boot", at,
            (rnd.randint(0, 2), 7, 5),
        )
        for at in slots
    ]  # fmt: skip


def test_wide_rows_tell_what_single_ones_do() -> None:
    taken = 0
    for seed in range(300):
        rnd = random.Random(seed)
        wide, single = tracker(seed), tracker(seed)
        for step in range(8):
            parts = leaf(rnd, 9 * step)
            received_ms = max(part.t_ms for part in parts) - rnd.choice((0, 0, 0, 10**9))
            before = wide._marked
            wide.told(received_ms, Rows(parts))
            taken += wide._marked is not before
            single.told(received_ms, [row for part in parts for row in part.rows()])
            assert state(wide) == state(single), (seed, step)
    assert taken > 500


def test_points_that_are_read_together_share_what_is_marked() -> None:
    one, other = Seen(INTERVAL_MS, 0), Seen(INTERVAL_MS, 0)
    shape = Shape("sola-e1", "m", ["a"], ["u32"], [0], [0], [""])
    times = [START_MS, START_MS + INTERVAL_MS]
    (row,) = Wide(shape, times[-1], 1, 1, "b", 1, (5,)).rows()
    marked = one.add_run(times, (5, 5), row, None)
    assert other.add_run(times, (4, 5), row, marked) is marked
    assert other._bits is one._bits
    assert (one.changed_ms, other.changed_ms) == (times[0], times[1])
