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
from hakari.log.mark import MarkInvalid, open_mark
from hakari.log.roster import Roster
from hakari.wire.envelope import seal

PUMP_S = 0.05
MAX_MARKS = 1000

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


class Courier:
    """One a process. `changed` and `mark` may be called on the event loop at any time; `pump` does the work."""

    def __init__(
        self,
        log: EdgeLog,
        roster: Roster,
        clock: PlantClock,
        outlet: Outlet,
        machine_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._keys = roster.cosigner_keys()
        self._clock = clock
        self._outlet = outlet
        self._machine_s = machine_s
        self._sender = Sender(log.spool)
        self._marks: deque[bytes] = deque(maxlen=MAX_MARKS)
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
        self._marks.append(mark)
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
            fork = self._take(self._marks.popleft(), now_s)
            if fork is not None:
                epoch = self._log.fork(fork.cites, self._clock.now(), fork.known_epoch)
                _log.warning("our log and ingest's disagree (restored disk or second agent): new epoch %d", epoch)
        self._log.carry(self._clock.now())
        for epoch, i in self._sender.poll(now_s, self._outlet.slots):
            self._send(epoch, i, now_s)

    def _take(self, raw: bytes, now_s: float) -> Fork | None:
        try:
            mark = open_mark(raw, self._keys)
        except MarkInvalid as error:
            _log.warning("a mark was not taken: %s", error)
            return None
        origin = mark.checkpoint.origin
        if (origin.namespace, origin.edge_id) != (self._log.namespace, self._log.edge_id):
            _log.warning("a mark of %s was not taken: it is not ours", origin)
            return None
        return self._sender.mark(mark, raw.decode(), now_s)

    def _send(self, epoch: int, i: int, now_s: float) -> None:
        leaf = self._log.spool.leaf(epoch, i)
        if leaf is None:
            return
        if leaf.body() is None:
            self._report_rot(epoch, i)
            return
        message = seal(leaf.checkpoint, leaf.deflated)
        crash_point("edge.publishing")
        self._outlet.publish(message)
        self._sender.sent(epoch, i, len(message), now_s)

    def _report_rot(self, epoch: int, i: int) -> None:
        """A leaf that is not what was signed is never sent; that it is lost is itself logged, once."""
        if (epoch, i) not in self._rotten:
            self._rotten.add((epoch, i))
            now = self._clock.now()
            _log.error("leaf %d/%d on this disk is not what was signed; it cannot be sent", epoch, i)
            self._log.add_event(rotten(epoch, i, now), now)
