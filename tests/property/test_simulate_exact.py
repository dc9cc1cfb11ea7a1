"""Recorded counters are exact at every millisecond, and the lockstep state never tells or ends too early."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hakari.lockstep import Answer, Hello
from simulate.lockstep import Lockstep, Phase, Send
from simulate.record import Mapping, QuantityMap, Record

EXAMPLES = 60
HOUR_MS = 3_600_000
Rows = list[tuple[int, int]]

rows_of = st.lists(st.tuples(st.integers(1, 10_000_000), st.integers(-10_000_000, 10_000_000)), min_size=1, max_size=12)


def written(folder: Path, rows: Rows) -> tuple[Record, list[int]]:
    """A record whose rows follow one another after the given milliseconds, values in ten thousandths."""
    times = [sum(gap for gap, _ in rows[: k + 1]) for k in range(len(rows))]
    stamps = [f"1970-01-01T{t // HOUR_MS:02}:{t // 60000 % 60:02}:{t // 1000 % 60:02}.{t % 1000:03}Z" for t in times]
    lines = [f"{stamp},{Decimal(value).scaleb(-4)}" for stamp, (_, value) in zip(stamps, rows, strict=True)]
    (folder / "r.csv").write_text("time,a\n" + "\n".join(lines) + "\n")
    quantities = [QuantityMap("up", "integral", "a", "positive"), QuantityMap("down", "integral", "a", "negative")]
    return Record(folder / "r.csv", Mapping(quantities, 900)), times


@settings(max_examples=EXAMPLES, deadline=None)
@given(rows_of.filter(lambda rows: sum(gap for gap, _ in rows) < 24 * HOUR_MS), st.integers(0, 100_000_000))
def test_an_integral_is_the_sum_over_the_rows(rows: Rows, at_ms: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, times = written(Path(folder), rows)
    ends = [*times[1:], times[-1] + 900_000]
    up = down = Fraction(0)
    for (_, value), start, end in zip(rows, times, ends, strict=True):
        held_ms = max(min(end, at_ms) - start, 0)
        share = Fraction(value * held_ms, 10_000 * HOUR_MS)
        up, down = up + max(share, Fraction(0)), down + max(-share, Fraction(0))
    assert (source.value("up", at_ms), source.value("down", at_ms)) == (up, down)
    assert source.value("up", at_ms + 1) >= up


HELLOS = {
    1: Hello("a-e1", "edge"),
    2: Hello("b-e1", "edge"),
    3: Hello("ingest", "watch"),
    4: Hello("a-e1", "edge"),
    5: Hello("api", "watch"),
}
events = st.lists(st.tuples(st.sampled_from(["hello", "gone", "answer", "next"]), st.integers(1, 5)), max_size=120)


class Checked:
    """A Lockstep driven by events, beside what each connection was told and which tick each edge answered."""

    def __init__(self) -> None:
        self.lock = Lockstep(["a-e1", "b-e1"])
        self.connected: set[int] = set()
        self.told: dict[int, list[tuple[int, bool]]] = {}
        self.answered: dict[str, int] = {}
        self.finished = 0

    def take(self, sends: list[Send]) -> None:
        for connection, tick in sends:
            assert connection in self.connected
            assert tick == self.lock.tick
            assert not (HELLOS[connection].role == "edge" and self.lock.phase is Phase.WATCHERS)
            self.told[connection].append((tick.tick, tick.flush))

    def play(self, kind: str, connection: int) -> None:
        lock = self.lock
        if kind == "next" and not lock.waiting():
            if lock.phase is Phase.WATCHERS:
                self.take(lock.tell_edges())
            else:
                self.finished = lock.tick.tick
                assert self.finished == 0 or {self.answered["a-e1"], self.answered["b-e1"]} == {self.finished}
                self.take(lock.begin(lock.tick.tick + 1, 0))
        elif kind == "hello" and connection not in self.connected:
            self.connected.add(connection)
            self.told[connection] = []
            sends, old = lock.hello(connection, HELLOS[connection])
            self.connected -= set(old)
            self.take(sends)
        elif kind == "gone" and connection in self.connected:
            self.connected.discard(connection)
            lock.gone(connection)
        elif kind == "answer" and connection in self.connected and self.told[connection]:
            tick, _ = self.told[connection].pop(0)
            self.answered[HELLOS[connection].client] = tick
            lock.answer(connection, Answer(tick))


@settings(max_examples=EXAMPLES, deadline=None)
@given(events)
def test_ticks_end_only_when_every_edge_answered_and_never_get_stuck(played: list[tuple[str, int]]) -> None:
    checked = Checked()
    for kind, connection in played:
        checked.play(kind, connection)
    for connection in (1, 2, 3):  # whatever happened: everyone comes (back) and answers
        checked.play("hello", connection)
    for _ in range(6 + sum(map(len, checked.told.values()))):
        for connection in sorted(checked.connected):
            checked.play("answer", connection)
        checked.play("next", 0)
    assert checked.finished >= 1
