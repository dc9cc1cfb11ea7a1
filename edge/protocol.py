"""What to send next, and what a stored mark means (protocol E2 to E6): pure, told the time, no sockets.

One lane an epoch. Only the current epoch grows; a closed one can be sent again as far as it was once stored,
so that an ingest restored from a backup gets it back.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from edge.spool import EpochState
from hakari.log.mark import Mark

WINDOW_LEAVES = 256
WINDOW_BYTES = 1024 * 1024
RESEND_S = 10.0
RESEND_MAX_S = 300.0
REPEAT_S = 5.0
GO_BACK_S = 60.0
PROBE_S = 900.0


class Log(Protocol):
    """What the sender needs of the spool."""

    def epochs(self) -> list[EpochState]:
        """Every epoch, oldest first."""
        ...

    def root_at(self, epoch: int, size: int) -> bytes | None:
        """Our root of the first `size` leaves."""
        ...

    def set_mark(self, epoch: int, mark: int) -> None:
        """Persists a mark."""
        ...

    def forget(self, epoch: int, since: int) -> None:
        """Persists that leaves from `since` on are not stored; those of a closed epoch are to be carried."""
        ...


class Fork(NamedTuple):
    """E5: open an epoch above `known_epoch` that cites this mark."""

    cites: str
    known_epoch: int


class _Lane:
    def __init__(self, state: EpochState, now: float) -> None:
        self.epoch = state.epoch
        self.mark = state.mark
        self.next = state.mark
        self.sent: dict[int, tuple[float, int]] = {}
        self.ahead_bytes = 0
        self.moved(now)
        self.back_at = -GO_BACK_S
        self.resent = -1

    def moved(self, now: float) -> None:
        self.wait_s = RESEND_S
        self.due = now + RESEND_S
        self.repeat_s = REPEAT_S

    def may_repeat(self, now: float) -> bool:
        """Whether the mark that stands still is a reason to go back; each time without progress waits twice as long.

        Else a broker that repeats one old mark would make us send the whole window every few seconds.
        """
        sent = self.sent.get(self.mark)
        if sent is None or now - sent[0] <= self.repeat_s:
            return False
        self.repeat_s = min(2 * self.repeat_s, RESEND_MAX_S)
        return True

    def go_back(self) -> None:
        self.next = self.mark
        self.sent.clear()
        self.ahead_bytes = 0

    def raise_to(self, mark: int, now: float) -> None:
        for i in range(self.mark, mark):
            self.ahead_bytes -= self.sent.pop(i, (0.0, 0))[1]
        self.mark = mark
        self.next = max(self.next, mark)
        self.moved(now)

    def record(self, i: int, size_bytes: int, now: float) -> None:
        old = self.sent.get(i, (0.0, 0))[1]
        self.sent[i] = (now, size_bytes)
        self.ahead_bytes += size_bytes - old


class Sender:
    """Decides for every epoch in the ring. Times are seconds of machine time."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lanes: dict[int, _Lane] = {}
        self._urgent: list[tuple[int, int]] = []
        self._probe_due = 0.0
        self.connected = False

    def connect(self, now: float) -> None:
        """E2, E6: go back to the marks and show the last leaf of each epoch."""
        self.connected = True
        self._lanes = {state.epoch: _Lane(state, now) for state in self._log.epochs()}
        self._urgent = []
        self._probe(now)

    def disconnect(self) -> None:
        """Nothing is sent until the next connection."""
        self.connected = False

    def mark(self, mark: Mark, text: str, now: float) -> Fork | None:
        """E4, E5: takes a mark whose cosignature is valid; returns what E5 asks for, if it does."""
        origin, size, root = mark.checkpoint
        states = {state.epoch: state for state in self._log.epochs()}
        newest = max(states, default=0)
        state = states.get(origin.epoch)
        if state is None:
            return self._fork(text, origin.epoch, now) if origin.epoch > newest else None
        ours = self._log.root_at(origin.epoch, size) if size <= state.size else None
        lane = self._lanes.setdefault(origin.epoch, _Lane(state, now))
        if ours == root and not mark.frozen:
            self._place(lane, size, now)
            return None
        if ours is None and size <= state.size:
            return None  # so old that it has left the ring: nothing can be told from it
        since = _still_stored(mark, ours, state.high)
        if since < state.high:
            self._forget(lane, since)
            self._probe_due = now  # the leaf before it may be foreign too
        elif state.closed and lane.mark < state.high:
            self._log.set_mark(lane.epoch, state.high)  # an old mark had lowered it, and no other will raise it again
            lane.raise_to(state.high, now)
        return None if state.closed else self._fork(text, newest, now)

    def _fork(self, cites: str, known_epoch: int, now: float) -> Fork:
        self._probe_due = now  # ask what ingest has of the epoch that is being closed as soon as all else is stored
        return Fork(cites, known_epoch)

    def _forget(self, lane: _Lane, since: int) -> None:
        """E5 after ingest itself was restored: what it once had and can never take again counts as not stored.

        With our root at its size it has just these leaves; with another root nothing about the others is known.
        """
        self._log.forget(lane.epoch, since)
        lane.mark = min(lane.mark, since)
        lane.go_back()

    def _place(self, lane: _Lane, size: int, now: float) -> None:
        """E4: up or down with the mark; E3: back when it stands still."""
        if size > lane.mark:
            self._log.set_mark(lane.epoch, size)
            lane.raise_to(size, now)
            if size == lane.resent + 1 and lane.sent.get(size, (now, 0))[0] < now - REPEAT_S:
                lane.go_back()  # only the leaf that was sent again arrived: what followed it is lost too
        elif size < lane.mark:
            if now - lane.back_at >= GO_BACK_S:
                lane.back_at = now
                self._log.set_mark(lane.epoch, size)
                lane.mark = size
                lane.go_back()
                lane.moved(now)
        elif lane.may_repeat(now):
            lane.go_back()

    def poll(self, now: float, slots: int) -> list[tuple[int, int]]:
        """At most `slots` leaves (epoch, i) to send now, in order; call `sent` for each one that went out."""
        if not self.connected:
            return []
        states = self._log.epochs()
        for state in states:
            self._lanes.setdefault(state.epoch, _Lane(state, now))
        self._resend(states, now)
        if now >= self._probe_due and all(self._lanes[s.epoch].mark >= _limit(s) for s in states):
            self._probe(now)
        chosen = self._urgent[:slots]
        del self._urgent[:slots]
        for state in reversed(states):
            lane = self._lanes[state.epoch]
            i = lane.next
            while (
                len(chosen) < slots
                and i < min(_limit(state), lane.mark + WINDOW_LEAVES)
                and lane.ahead_bytes < WINDOW_BYTES
            ):
                chosen.append((state.epoch, i))
                i += 1
            lane.next = i
        return chosen

    def sent(self, epoch: int, i: int, size_bytes: int, now: float) -> None:
        """Leaf (epoch, i) was handed to the broker's connection."""
        lane = self._lanes[epoch]
        if i >= lane.mark:
            if not lane.sent:
                lane.due = now + lane.wait_s
            lane.record(i, size_bytes, now)

    def _resend(self, states: list[EpochState], now: float) -> None:
        """E3: without progress leaf[mark] alone, after 10 s, then twice as long each time."""
        for state in states:
            lane = self._lanes[state.epoch]
            if lane.next > lane.mark and lane.mark < _limit(state) and now >= lane.due:
                lane.wait_s = min(2 * lane.wait_s, RESEND_MAX_S)
                lane.due = now + lane.wait_s
                lane.resent = lane.mark
                self._urgent.append((state.epoch, lane.mark))

    def _probe(self, now: float) -> None:
        """E6: shows the last stored leaf of each epoch, so that a restored ingest is noticed."""
        self._probe_due = now + PROBE_S
        for state in self._log.epochs():
            last = _limit(state) - 1
            if last >= 0 and last < self._lanes[state.epoch].mark:
                self._urgent.append((state.epoch, last))


def _still_stored(mark: Mark, ours: bytes | None, high: int) -> int:
    """How many of our leaves ingest may still have, by a mark that is frozen or shows another root than `ours`."""
    size = mark.checkpoint.size
    if ours == mark.checkpoint.root:
        return size
    if mark.fork:
        return mark.fork - 1
    return high if size >= high else 0  # smaller than it once was, and another log: it was restored and grew anew


def _limit(state: EpochState) -> int:
    """Leaves of an epoch that may be sent: all of the current one, of a closed one what was once stored."""
    return state.high if state.closed else state.size
