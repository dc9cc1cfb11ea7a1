"""Signed requests from afar: which are taken, and the one event in the log that answers each.

Guaranteed: only what a configurer of the roster has signed for this edge has any effect; no request has it twice, no
configuration after it expired; each serial is answered by one event at most. What anybody can send is counted and told
in the process log once a minute, never signed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from edge.log import EdgeLog
from hakari.clock import UNSYNCHRONISED, PlantClock, PlantTime
from hakari.errors import HakariError, Refused
from hakari.log.note import VerifierKey
from hakari.log.request import CONFIGURATION, Request, RequestInvalid, open_request
from hakari.wire.events import ANSWERED, REASON, REFUSED, SERIAL, TAKEN, TEXT_PART, UNANSWERED
from hakari.wire.leaf import Event

EVERY_S = 2.0
MAX_WAITING = 16
MAX_SETTLED = 64
COMPLAIN_S = 60.0
PART_CHARS = 2000
MAX_ANSWER_CHARS = 12_000
MAX_REASON_CHARS = 1000
SETTLED, FOREIGN = "requests", "requests/foreign"

Configure = Callable[[str], None]
Answer = Callable[[str], str]

_log = logging.getLogger("hakari.edge")


class AnswerTooLong(Refused):
    """An answer does not fit an event."""


class Requests:
    """One a process. `hear` may be called on the event loop at any time; `run` deals with one at a time."""

    def __init__(
        self,
        log: EdgeLog,
        configurers: Sequence[VerifierKey],
        clock: PlantClock,
        machine_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._configurers = list(configurers)
        self._clock = clock
        self._machine_s = machine_s
        self._waiting: deque[bytes] = deque()
        self._there = asyncio.Event()
        self._complained_s = -COMPLAIN_S
        self.dropped = 0

    def hear(self, note: bytes) -> None:
        """A note arrived; beyond MAX_WAITING that wait it is dropped, for ingest sends it again."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(note)
            self._there.set()

    async def run(self, configure: Configure, answer: Answer) -> None:
        """Deals with what was heard, at most one note in EVERY_S."""
        while True:
            await self._there.wait()
            self.take(self._waiting.popleft(), configure, answer)
            if not self._waiting:
                self._there.clear()
            await asyncio.sleep(EVERY_S)

    def take(self, note: bytes, configure: Configure, answer: Answer) -> None:
        """Deals with one note. `configure` raises a HakariError where it refuses, `answer` gives JSON in ASCII."""
        now = self._clock.now()
        try:
            request = open_request(note, self._configurers)
        except RequestInvalid as error:
            self._drop(error)
            return
        if not self._log.started or (now.sync == UNSYNCHRONISED and request.kind == CONFIGURATION):
            return  # it may have expired, which cannot be told yet; ingest sends it again
        foreign = request.edge != self._log.edge_id
        key, name = (FOREIGN, f"{request.edge} {request.serial}") if foreign else (SETTLED, str(request.serial))
        settled = self._settled(key)
        if name in settled or (not foreign and len(settled) >= MAX_SETTLED and request.serial < min(map(int, settled))):
            return
        event = self._event(request, self._refusal(request, settled, now), configure, answer, now)
        with self._log.spool.transaction():
            self._log.spool.put_note(key, json.dumps([*settled, name][-MAX_SETTLED:]))
            self._log.add_event(event, now)
        _log.info("request %d: %s %s", request.serial, event.kind, event.data.get(REASON, ""))

    def _refusal(self, request: Request, settled: Sequence[str], now: PlantTime) -> str:
        """Why a request that a configurer has signed is not looked into, "" where it is."""
        newest = max(map(int, settled), default=0) if request.edge == self._log.edge_id else 0
        if request.edge != self._log.edge_id:
            return f"it is for edge {request.edge}, this is {self._log.edge_id}"
        if request.serial < newest:
            return f"its serial {request.serial} is below {newest}, which was dealt with already"
        if now.sync != UNSYNCHRONISED and now.wall_ms > request.expires_s * 1000:
            return f"it expired at {request.expires_s} s, it is {now.wall_ms // 1000} s"
        return ""

    def _event(self, request: Request, refusal: str, configure: Configure, answer: Answer, now: PlantTime) -> Event:
        """Does what is asked, and the event that says so."""
        told = {SERIAL: str(request.serial)}
        if request.kind == CONFIGURATION:
            told["sha256"] = request.body_sha256
            refusal = refusal or _refused(lambda: configure(request.body))
            if refusal:
                return Event(REFUSED, now.wall_ms, {**told, REASON: refusal[:MAX_REASON_CHARS]})
            return Event(TAKEN, now.wall_ms, told)
        told["question"] = request.body
        parts: dict[str, str] = {}
        refusal = refusal or _refused(lambda: parts.update(_parts(answer(request.body))))
        if refusal:
            return Event(UNANSWERED, now.wall_ms, {**told, REASON: refusal[:MAX_REASON_CHARS]})
        return Event(ANSWERED, now.wall_ms, told | parts)

    def _settled(self, key: str) -> list[str]:
        try:
            return [str(one) for one in json.loads(self._log.spool.note(key) or "[]")]
        except ValueError:
            return []

    def _drop(self, why: Exception) -> None:
        self.dropped += 1
        if self._machine_s() - self._complained_s >= COMPLAIN_S:
            self._complained_s = self._machine_s()
            _log.warning("a message on the configuration topic was dropped (%d so far): %s", self.dropped, why)


def _refused(do: Callable[[], None]) -> str:
    """What a refusal says, "" where there was none."""
    try:
        do()
    except HakariError as error:
        return str(error)
    return ""


def _parts(text: str) -> dict[str, str]:
    """`text` in pieces that fit a field of an event each; AnswerTooLong, for what is cut off is no JSON any more."""
    if len(text) > MAX_ANSWER_CHARS:
        raise AnswerTooLong(f"the answer has {len(text)} characters, limit {MAX_ANSWER_CHARS}; ask for less")
    return {f"{TEXT_PART}{k}": text[k * PART_CHARS : (k + 1) * PART_CHARS] for k in range(-(-len(text) // PART_CHARS))}
