"""A log of ingest's own: what other senders, files and people gave, signed by a key that ingest holds.

Guaranteed: when `take` returns, what counts is on disk as signed leaves with ingest's mark, what does not is
quarantined with its reason, and the message may be acknowledged. A value counts once for its point and time; another
one for the same is refused, never written over it. No size of an epoch is ever signed twice with another root.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.crash import crash_point
from hakari.errors import BadConfiguration, DataProblem, Refused
from hakari.log.checkpoint import Checkpoint, claimed
from hakari.log.keyfile import public_bytes
from hakari.log.mark import Cosigner, cosign
from hakari.log.roster import Roster
from hakari.log.tree import EMPTY_ROOT, extend, leaf_hash, root_of
from hakari.names import IMPORT_EVENT, Origin
from hakari.period import time_text
from hakari.quality import Quality
from hakari.registers.given import reading_of
from hakari.store.evidence import EvidenceLog, Head, StoredLeaf
from hakari.wire.envelope import seal, unseal
from hakari.wire.leaf import MAX_SHOWN_CHARS, Event
from hakari.wire.rows import MAX_FUTURE_MS
from ingest.sources.declared import Declared
from ingest.sources.own_index import OwnIndex, index_file
from ingest.sources.own_leaves import LeafWriter
from ingest.sources.own_state import Signed, read_state, state_file, write_state
from ingest.sources.port import GivenReading, Message, Parsed

MAX_TRIES = 8
MAX_QUARANTINED_BYTES = 64 * 1024
MAX_REFUSALS = 1000
MAX_OUTCOMES = 50
REFUSED = "REFUSED"
MAX_SHOWN_MS = 253_402_300_799_000  # the end of year 9999


Key = tuple[str, str, int]


class OwnLogUnknown(BadConfiguration):
    """The roster does not know the log, or knows another key for it."""


class OwnLogBusy(Refused):
    """Others appended to the log whenever we tried."""


class Taking(NamedTuple):
    """A message with what a parser found in it, under what its source declares.

    `told` are the words of an import's event (who, why, the mapping's hash): a file or a person's value is recorded
    with them, a message of a stream (None) is not.
    """

    declared: Declared
    message: Message
    parsed: Parsed
    told: Mapping[str, str] | None = None


class Taken(NamedTuple):
    """What became of a message: values that count from now on, that counted before, and a sentence for each refused.

    `again` says that the very file was imported before with the very mapping. `outcomes` say of the first
    MAX_OUTCOMES readings, in the order of the message, what became of each.
    """

    new: int
    duplicates: int
    refused: list[str]
    again: bool = False
    outcomes: tuple[str, ...] = ()


class _SwapLost(Exception):
    """Somebody else appended first: all is decided anew."""


class OwnLog:
    """The own log `log_id`, written with `key` into `evidence`; `roster` may be exchanged for a newer one.

    `origin` is the epoch written into last, None before. Errors: OwnLogUnknown unless the roster lists the log as a
    source with this key.
    """

    def __init__(
        self,
        evidence: EvidenceLog,
        log_id: str,
        key_file: Path,
        key: Ed25519PrivateKey,
        roster: Roster,
        cosigner: Cosigner,
        software: str,
    ) -> None:
        self.id = log_id
        self.roster = roster
        self._evidence = evidence
        self._key = key
        self._cosigner = cosigner
        self._software = software
        self._state_file = state_file(key_file)
        _check_known(log_id, key, roster)
        self._index = OwnIndex(index_file(key_file))
        self.origin: Origin | None = None

    def take(self, takings: Sequence[Taking], now_ms: int) -> list[Taken]:
        """What became of each message, durably; decided anew where another worker was quicker. Not in a transaction."""
        for _ in range(MAX_TRIES):
            try:
                return self._take(takings, now_ms)
            except _SwapLost:
                self.origin = None
        raise OwnLogBusy(f"{self.id}: others appended at each of {MAX_TRIES} tries; give each worker a log of its own")

    def preview(self, takings: Sequence[Taking], now_ms: int) -> list[Taken]:
        """What `take` would do; nothing is written."""
        self._index.catch_up(self._evidence, self._origins())
        held: dict[Key, str] = {}
        return [self._sort(one, held, now_ms)[0] for one in takings]

    def close(self) -> None:
        """Releases the index."""
        self._index.close()

    def _take(self, takings: Sequence[Taking], now_ms: int) -> list[Taken]:
        touching = [self.origin] if self.origin else []
        with self._evidence.transaction(touching):
            finished = self._finish(now_ms)
            results = None if finished else self._decide(takings, now_ms)
        crash_point("own_log.committed")
        # What was finished is committed by itself, so that the file beside the key never runs ahead of the log.
        return self._take(takings, now_ms) if results is None else results

    def _decide(self, takings: Sequence[Taking], now_ms: int) -> list[Taken]:
        """Everything of `take` inside its transaction."""
        writer, base = self._begin(now_ms)
        self._index.catch_up(self._evidence, self._origins())
        held: dict[Key, str] = {}
        configured: set[str] = set()
        results = []
        for one in takings:
            taken, fresh = self._sort(one, held, now_ms)
            if fresh:
                self._write(writer, one, (taken, fresh), configured, now_ms)
            if taken.refused:
                self._quarantine(one, taken, now_ms)
            results.append(taken)
        # An epoch that is opened for nothing would have to be approved for nothing.
        if any(taken.new for taken in results):
            self._commit(writer, base, now_ms)
            self.origin = writer.origin
        return results

    def _origins(self) -> list[Origin]:
        """Every epoch of this log, oldest first."""
        mine = (self.roster.namespace, self.id)
        return sorted(one for one in self._evidence.origins() if (one.namespace, one.edge_id) == mine)

    def _begin(self, now_ms: int) -> tuple[LeafWriter, Signed]:
        """What to write into, and what is committed of it; a new epoch where the evidence log went back (E5)."""
        state = read_state(self._state_file)
        origins = self._origins()
        if state is None:
            return self._open(origins, now_ms, "start" if not origins else "new-epoch", None)
        origin = Origin(self.roster.namespace, self.id, state.epoch)
        if not self._holds(origin, state):
            return self._open(origins, now_ms, "new-epoch", state)
        latest = max([origin, *origins])
        head = self._evidence.head(latest)
        if head.frozen:
            return self._open(origins, now_ms, "new-epoch", state)
        writer = LeafWriter(latest, head, self._key, self._software, now_ms)
        return writer, Signed(1, latest.epoch, head.size, head.root, state.mark, [])

    def _holds(self, origin: Origin, state: Signed) -> bool:
        """Whether the evidence log still holds what this key signed and committed."""
        if state.size == 0:
            return True
        last = self._evidence.leaf(origin, state.size - 1)
        return last is not None and claimed(last.checkpoint).root == state.root

    def _finish(self, now_ms: int) -> bool:
        """Appends the very leaves that were signed and not committed, as far as nobody was quicker; whether any was."""
        state = read_state(self._state_file)
        origin = Origin(self.roster.namespace, self.id, state.epoch if state else 0)
        if state is None or not self._holds(origin, state):
            return False
        head = self._evidence.head(origin)
        before = head.size
        for i, message in enumerate(state.about, state.size):
            if i < before:
                continue
            envelope = unseal(message)
            digest = leaf_hash(envelope.body)
            frontier = extend(head.frontier, head.size, digest)
            root = root_of(frontier)
            if root != claimed(envelope.checkpoint).root:
                break
            stored = StoredLeaf(i, digest, envelope.deflated, envelope.checkpoint, now_ms)
            if not self._evidence.append(origin, i, stored, frontier, root):
                break
            head = Head(i + 1, frontier, root, frozen=False)
        if head.size > before:
            self._evidence.put_mark(origin, head.size, self._mark(origin, head, now_ms))
        return head.size > before

    def _open(
        self, origins: Sequence[Origin], now_ms: int, kind: str, before: Signed | None
    ) -> tuple[LeafWriter, Signed]:
        """A new epoch (E5), whose leaf 0 cites what the key had signed where the evidence log has gone back."""
        known = [one.epoch for one in origins] + ([before.epoch] if before else [])
        epoch = max([now_ms // 1000, *(one + 1 for one in known)])
        origin = Origin(self.roster.namespace, self.id, epoch)
        writer = LeafWriter(origin, self._evidence.head(origin), self._key, self._software, now_ms)
        writer.events([Event(kind, now_ms, {"software": self._software})], before.mark if before else "")
        return writer, Signed(1, epoch, 0, EMPTY_ROOT, before.mark if before else "", [])

    def _write(
        self,
        writer: LeafWriter,
        taking: Taking,
        found: tuple[Taken, list[GivenReading]],
        configured: set[str],
        now_ms: int,
    ) -> None:
        taken, fresh = found
        declared, message = taking.declared, taking.message
        if declared.cfg not in configured and not self._index.configured(writer.origin.epoch, declared.cfg):
            writer.configuration(declared.text, declared.cfg)
        configured.add(declared.cfg)
        if taking.told is not None:
            data = {
                "source": message.source,
                "name": message.name[:MAX_SHOWN_CHARS],
                "sha256": _sha256(message),
                "origin": declared.origin,
                **taking.told,
                "new": str(taken.new),
                "duplicates": str(taken.duplicates),
                "refused": str(len(taken.refused)),
            }
            writer.events([Event(IMPORT_EVENT, now_ms, data)])
        writer.readings(fresh, declared.cfg)

    def _sort(self, taking: Taking, held: dict[Key, str], now_ms: int) -> tuple[Taken, list[GivenReading]]:
        """What counts of a message, what counted before, what is refused; `held` has the values of those before it."""
        mapping = (taking.told or {}).get("mapping", "")
        if taking.told is not None and self._index.knows_file(_sha256(taking.message), mapping):
            return Taken(0, len(taking.parsed.readings), [], again=True), []
        if other := self._other_meter(taking.declared):
            return Taken(0, 0, [other], outcomes=(REFUSED,) * min(len(taking.parsed.readings), MAX_OUTCOMES)), []
        refused = list(taking.parsed.refused)
        outcomes: list[str] = []
        fresh: list[GivenReading] = []
        duplicates = 0
        for one in taking.parsed.readings:
            problem = _problem(one, taking.declared, now_ms)
            key = (one.meter, one.point, one.t_ms)
            known = None if problem else (held.get(key) or self._index.value(*key))
            if problem:
                refused.append(problem)
                outcome = REFUSED
            elif known is None:
                held[key] = one.value
                fresh.append(one)
                outcome = f"new{_doubt(one, taking.declared)}"
            elif Decimal(known) == Decimal(one.value):
                duplicates += 1
                outcome = "known"
            else:
                refused.append(_contradiction(one, known))
                outcome = REFUSED
            if len(outcomes) < MAX_OUTCOMES:
                outcomes.append(outcome)
        return Taken(len(fresh), duplicates, refused, outcomes=tuple(outcomes)), fresh

    def _other_meter(self, declared: Declared) -> str:
        """Why the mapping cannot be used for this log, "" where it can.

        A point of two origins or serials would have no quantity in any period that has seen both.
        """
        for meter, serial in declared.serials.items():
            known = self._index.meter(meter)
            if known and (declared.origin, serial) not in known:
                origin, other = known[0]
                return (
                    f"nothing of it is taken: meter {meter} is {origin} with serial {other!r} in {self.id}, and the"
                    f" mapping says {declared.origin} with serial {serial!r}; use another meter id"
                )
        return ""

    def _quarantine(self, taking: Taking, taken: Taken, now_ms: int) -> None:
        """The message with its reasons; of one that is long, the sentences alone."""
        message, refused = taking.message, taken.refused
        of = taken.new + taken.duplicates + len(refused)
        reason = f"{len(refused)} of {of} values refused: {refused[0]}"
        if len(message.payload) <= MAX_QUARANTINED_BYTES and taking.told is None:
            payload = message.payload
        else:
            payload = "\n".join([*refused[:MAX_REFUSALS], ""]).encode()
        self._evidence.quarantine(f"{message.source}: {message.name}", reason, payload, now_ms)

    def _commit(self, writer: LeafWriter, base: Signed, now_ms: int) -> None:
        """Appends what was signed, after the file beside the key has it."""
        origin = writer.origin
        for size in (base.size + 1, writer.head.size):
            if self.roster.edge_key(self.id, origin.epoch, size) != public_bytes(self._key):
                raise OwnLogUnknown(_other_key(self.id, self.roster))
        mark = self._mark(origin, writer.head, now_ms)
        about = [seal(leaf.checkpoint, leaf.deflated) for leaf, _ in writer.leaves]
        write_state(self._state_file, Signed(1, base.epoch, base.size, base.root, mark.decode(), about))
        crash_point("own_log.signed")
        for leaf, head in writer.leaves:
            if not self._evidence.append(origin, leaf.i, leaf, head.frontier, head.root):
                raise _SwapLost
        self._evidence.put_mark(origin, writer.head.size, mark)

    def _mark(self, origin: Origin, head: Head, now_ms: int) -> bytes:
        return cosign(Checkpoint(origin, head.size, head.root), self._cosigner, now_ms // 1000)


def _check_known(log_id: str, key: Ed25519PrivateKey, roster: Roster) -> None:
    if log_id not in roster.sources:
        raise OwnLogUnknown(
            f"own log {log_id} is no source of the roster (serial {roster.serial}), so its values would pass for"
            f" measured ones: run hakari keys roster add-source --edge {log_id}"
        )
    public = base64.b64encode(public_bytes(key)).decode()
    if not any(one.edge == log_id and one.key == public for one in roster.edges):
        raise OwnLogUnknown(_other_key(log_id, roster))


def _other_key(log_id: str, roster: Roster) -> str:
    return (
        f"the key file of own log {log_id} is not the key that the roster (serial {roster.serial}) has for it now;"
        " give the right key_file, or let the owner add this key: hakari keys roster add-edge"
    )


def _sha256(message: Message) -> str:
    return hashlib.sha256(message.payload).hexdigest()


def _problem(one: GivenReading, declared: Declared, now_ms: int) -> str:
    """Why a value cannot be taken, "" where it can."""
    point = declared.points.get((one.meter, one.point))
    where = f"{one.where}: " if one.where else ""
    name = f"{one.meter}/{one.point}"[:MAX_SHOWN_CHARS]
    if point is None:
        return f"{where}{name} is no point that the mapping declares"
    if one.t_ms < 0 or one.t_ms > now_ms + MAX_FUTURE_MS:
        limit_s = MAX_FUTURE_MS // 1000
        return (
            f"{where}{name}: time {_shown(one.t_ms)} is not within 1970 and {limit_s} s after now, {time_text(now_ms)}"
        )
    if one.t_ms < declared.from_ms[one.meter]:
        since = time_text(declared.from_ms[one.meter])
        return f"{where}{name}: time {time_text(one.t_ms)} lies before its commissioning (from = {since})"
    try:
        reading = reading_of(one.meter, point, one.value)
    except DataProblem as error:
        return f"{where}{name}: {error}"
    if reading.quality is Quality.BAD:
        return f"{where}{name}: value {one.value[:60]!r} is {reading.reason}"
    return ""


def _doubt(one: GivenReading, declared: Declared) -> str:
    """What a person should see of a value that is taken as it stands, "" where nothing."""
    point = declared.points[one.meter, one.point]
    reading = reading_of(one.meter, point, one.value)
    if reading.quality is not Quality.GOOD:
        return f", {reading.quality.name}: {reading.reason}"
    return ", NEGATIVE COUNTER" if point.kind == "counter" and Decimal(one.value) < 0 else ""


def _shown(t_ms: int) -> str:
    return time_text(t_ms) if 0 <= t_ms <= MAX_SHOWN_MS else f"{t_ms} ms"


def _contradiction(one: GivenReading, known: str) -> str:
    where = f"{one.where}: " if one.where else ""
    return (
        f"{where}{one.meter}/{one.point} at {time_text(one.t_ms)} is {known} in the log, and {one.value} came: what"
        " stands is never written over; where it is wrong, tell the verifier and declare another point for right values"
    )
