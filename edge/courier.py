"""Between the log and the broker: opens marks, lets the sender decide, checks each leaf and sends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from edge.log import EdgeLog, rotten
from edge.protocol import Fork, Sender
from hakari.clock import PlantClock
from hakari.crash import crash_point
from hakari.log.mark import Mark, MarkInvalid, open_mark
from hakari.log.roster import Roster
from hakari.wire.envelope import seal

PUMP_S = 0.05
MAX_MARKS = 1000
MAX_SENT = 1000

_log = logging.getLogger("hakari.edge")


class Outlet(Protocol):
    """Where messages go."""

    @property
    def slots(self) -> int:
        """Publishes that may be begun now."""
        ...

    def publish(self, message: bytes) -> None:
        """Hands one message over."""
        ...


class Witness(Protocol):
    """What learns the time from marks; times are those of the monotonic clock of this boot, milliseconds."""

    def witness(self, time_s: int, sent_ms: int, received_ms: int) -> None:
        """Mark n, cosigned at `time_s`, answered leaf n−1, cut by this process and sent for the first time then."""
        ...


class Courier:
    """One a process. `changed` and `mark` may be called on the event loop at any time; `pump` does the work."""

    def __init__(
        self,
        log: EdgeLog,
        roster: Roster,
        clock: PlantClock,
        outlet: Outlet,
        machine_s: Callable[[], float] = time.monotonic,
        witness: Witness | None = None,
    ) -> None:
        self._log = log
        self._keys = roster.cosigner_keys()
        self._clock = clock
        self._outlet = outlet
        self._machine_s = machine_s
        self._sender = Sender(log.spool)
        self._marks: deque[tuple[bytes, int]] = deque(maxlen=MAX_MARKS)
        self._witness = witness
        # A mark of a leaf that went out before may be an old mark replayed: its time says nothing about now.
        self._went_out = {state.epoch: state.size for state in log.spool.epochs()}
        self._first_sent: dict[tuple[int, int], int] = {}
        self._rotten: set[tuple[int, int]] = set()
        self.wake = asyncio.Event()

    def changed(self, connected: bool) -> None:
        """The connection came or went."""
        if connected:
            self._sender.connect(self._machine_s())
        else:
            self._sender.disconnect()
        self.wake.set()

    def mark(self, mark: bytes) -> None:
        """A mark arrived."""
        self._marks.append((mark, self._clock.now().mono_ms))
        self.wake.set()

    async def run(self) -> None:
        """Pumps whenever something happened, and every 50 ms for what falls due."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), PUMP_S)
            self.wake.clear()
            self.pump()

    def pump(self) -> None:
        """Takes all marks, carries what waits to be carried, sends what may be sent."""
        now_s = self._machine_s()
        while self._marks:
            fork = self._take(*self._marks.popleft(), now_s)
            if fork is not None:
                epoch = self._log.fork(fork.cites, self._clock.now(), fork.known_epoch)
                _log.warning("our log and ingest's disagree (restored disk or second agent): new epoch %d", epoch)
        self._log.carry(self._clock.now())
        for epoch, i in self._sender.poll(now_s, self._outlet.slots):
            self._send(epoch, i, now_s)

    def _take(self, raw: bytes, received_ms: int, now_s: float) -> Fork | None:
        try:
            mark = open_mark(raw, self._keys)
        except MarkInvalid as error:
            _log.warning("a mark was not taken: %s", error)
            return None
        origin = mark.checkpoint.origin
        if (origin.namespace, origin.edge_id) != (self._log.namespace, self._log.edge_id):
            _log.warning("a mark of %s was not taken: it is not ours", origin)
            return None
        self._learn(mark, received_ms)
        return self._sender.mark(mark, raw.decode(), now_s)

    def _learn(self, mark: Mark, received_ms: int) -> None:
        """The first mark of a leaf that this process cut says between which two instants ingest's time lay."""
        origin, size, root = mark.checkpoint
        sent_ms = self._first_sent.get((origin.epoch, size - 1))
        if self._witness is None or sent_ms is None or mark.frozen:
            return
        if self._log.spool.root_at(origin.epoch, size) == root:
            self._witness.witness(mark.time_s, sent_ms, received_ms)
            self._first_sent = {
                place: at for place, at in self._first_sent.items() if place[0] > origin.epoch or place[1] >= size
            }

    def _send(self, epoch: int, i: int, now_s: float) -> None:
        leaf = self._log.spool.leaf(epoch, i)
        if leaf is None and self._is_stored(epoch, i):
            return
        if leaf is None or leaf.body() is None:
            self._report_rot(epoch, i)
            return
        if i >= self._went_out.get(epoch, 0):
            self._went_out[epoch] = i + 1
            if self._witness is not None and len(self._first_sent) < MAX_SENT:
                self._first_sent[epoch, i] = self._clock.now().mono_ms
        message = seal(leaf.checkpoint, leaf.deflated)
        crash_point("edge.publishing")
        self._outlet.publish(message)
        self._sender.sent(epoch, i, len(message), now_s)

    def _is_stored(self, epoch: int, i: int) -> bool:
        """Whether a leaf may have left the ring; one that may not is lost."""
        state = self._log.spool.epoch(epoch)
        return state is None or i < state.mark

    def _report_rot(self, epoch: int, i: int) -> None:
        """A leaf that is not what was signed is never sent; that it is lost is itself logged, once."""
        if (epoch, i) not in self._rotten:
            self._rotten.add((epoch, i))
            now = self._clock.now()
            _log.error("leaf %d/%d on this disk is not what was signed; it cannot be sent", epoch, i)
            self._log.add_event(rotten(epoch, i, now), now)
