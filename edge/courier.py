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
from hakari.clock import UNSYNCHRONISED, PlantClock
from hakari.crash import crash_point
from hakari.log.checkpoint import CheckpointInvalid, open_checkpoint
from hakari.log.mark import Mark, MarkInvalid, open_mark
from hakari.log.roster import Roster
from hakari.wire.envelope import seal, seal_hash
from hakari.wire.leaf import Event

PUMP_S = 0.05
MAX_MARKS = 1000
MAX_SENT = 1000
ASK_TIME_S = 300.0
TIME_WANTED = "time-wanted"

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
        self._roster = roster
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
        self._by_hash: dict[int, int] = {}
        self._asked_time_s: float | None = None
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
        """Takes all marks, carries what waits to be carried, asks for the time, sends what may be sent."""
        now_s = self._machine_s()
        while self._marks:
            fork = self._take(*self._marks.popleft(), now_s)
            if fork is not None:
                epoch = self._log.fork(fork.cites, self._clock.now(), fork.known_epoch)
                _log.warning("our log and ingest's disagree (restored disk or second agent): new epoch %d", epoch)
        self._log.carry(self._clock.now())
        self._ask_time(now_s)
        for epoch, i in self._sender.poll(now_s, self._outlet.slots):
            self._send(epoch, i, now_s)

    def _ask_time(self, now_s: float) -> None:
        """While samples are held, cuts a small leaf whose first mark can witness the time; none before did, in time.

        Only once ingest has everything else, so that its answer is prompt and the log grows no further while ingest is
        away; then at most every ASK_TIME_S.
        """
        now, current = self._clock.now(), self._log.spool.current()
        if self._witness is None or now.sync != UNSYNCHRONISED or not self._sender.connected or not self._log.started:
            return
        if current is None or current.mark < current.size:
            return
        if self._asked_time_s is not None and now_s - self._asked_time_s < ASK_TIME_S:
            return
        held = self._log.spool.sample_count(UNSYNCHRONISED)
        if held:
            self._asked_time_s = now_s
            _log.info("%d samples wait until the time is known: asking ingest for it by a new leaf", held)
            self._log.add_event(Event(TIME_WANTED, now.wall_ms, {"held_samples": str(held)}), now)

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
        fork = self._sender.mark(mark, raw.decode(), now_s)
        self._explain_again(origin.epoch, mark.checkpoint.size)
        return fork

    def _explain_again(self, epoch: int, size: int) -> None:
        """Once ingest has taken hashes for bodies: the configuration may have been among them, so it is logged anew."""
        if size <= self._by_hash.get(epoch, size) or self._log.spool.next_whole(epoch, size) not in (size, None):
            return
        _log.warning("ingest goes on without the bodies of leaves up to %d/%d", epoch, self._by_hash.pop(epoch))
        self._log.explain(self._clock.now())

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
            if leaf is not None or self._log.spool.hashed(epoch, i) is None:
                self._report_rot(epoch, i)
            message = self._hash_alone(epoch, i)
            if message is None:
                return
        else:
            message = seal(leaf.checkpoint, leaf.deflated)
            self._went(epoch, i)
        crash_point("edge.publishing")
        self._outlet.publish(message)
        self._sender.sent(epoch, i, len(message), now_s)

    def _went(self, epoch: int, i: int) -> None:
        """Notes when a leaf goes out for the first time."""
        if i >= self._went_out.get(epoch, 0):
            self._went_out[epoch] = i + 1
            if self._witness is not None and len(self._first_sent) < MAX_SENT:
                self._first_sent[epoch, i] = self._clock.now().mono_ms

    def _hash_alone(self, epoch: int, i: int) -> bytes | None:
        """I11: what is to be sent of a leaf whose body this disk no longer has; None where not even that is sure.

        What is said of it is held against the signature first: a turned bit would have ingest keep every resend.
        """
        left = self._log.spool.hashed(epoch, i)
        key = self._roster.edge_key(self._log.edge_id, epoch, i + 1)
        if left is None or key is None:
            return None
        checkpoint = left.checkpoint(self._log.namespace, self._log.edge_id)
        try:
            open_checkpoint(checkpoint, key)
        except CheckpointInvalid:
            return None
        self._by_hash[epoch] = max(i, self._by_hash.get(epoch, 0))
        stop = self._log.spool.lost_until(epoch, i)
        return seal_hash(checkpoint, left.leaf_hash, stop, self._log.sign_gone(epoch, i, left.leaf_hash, stop))

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
