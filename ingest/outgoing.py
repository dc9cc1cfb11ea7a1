"""Signed requests on their way to edges: notes in a folder, published until the edge's own log answers them.

Guaranteed: only notes that a configurer of the roster has signed are published, to the edge that they name, not
retained, and no longer once that edge has logged an answer with their serial or they have expired. What became of a
note is in its file's name, the answer itself is a leaf of the edge.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from hakari.errors import BadConfiguration, DataProblem
from hakari.log.request import MAX_REQUEST_BYTES, Request, RequestInvalid, open_request
from hakari.log.roster import Roster
from hakari.names import BadName, Origin, check_edge_id
from hakari.smallfile import read_bytes
from hakari.store.evidence import EvidenceLog
from hakari.wire.envelope import inflate
from hakari.wire.events import ANSWERS, REASON, SERIAL
from hakari.wire.leaf import Event, decode
from hakari.wire.logged import with_carried

NOTE, DONE, EXPIRED, UNSENT = ".note", ".done", ".expired", ".unsent"
LOOK_EVERY_S = 2.0
WAIT_S = 15.0
MAX_WAIT_S = 300.0
MAX_NOTES = 1000
MAX_DIGITS = 20
# How far the clocks of the one who signs and of ingest may lie apart before an answer is overlooked.
MARGIN_MS = 86_400_000
_SERIAL = f'"{SERIAL}":"'.encode()

_log = logging.getLogger("hakari.ingest")


class OutgoingUnusable(BadConfiguration):
    """The folder of outgoing requests cannot be read or written."""


class Answered(NamedTuple):
    """The event by which an edge answered, and the leaf that holds it."""

    origin: Origin
    i: int
    event: Event


class Named(NamedTuple):
    """What a file's name in the folder says."""

    edge: str
    serial: int


class _Waiting:
    """A note that is not answered yet."""

    def __init__(self, path: Path, note: bytes, request: Request) -> None:
        self.path = path
        self.note = note
        self.request = request
        self.next_s = 0.0
        self.wait_s = WAIT_S
        self.looked: dict[Origin, int] = {}

    def sent(self, now_s: float) -> None:
        """It was published: the next time is later each time."""
        self.next_s = now_s + self.wait_s
        self.wait_s = min(2 * self.wait_s, MAX_WAIT_S)


class Outgoing:
    """Those of `folder` whose edges are `mine`; `roster` gives the present one."""

    def __init__(
        self,
        folder: Path,
        evidence: EvidenceLog,
        publish: Callable[[str, bytes], None],
        roster: Callable[[], Roster],
        mine: Callable[[str], bool],
    ) -> None:
        self._folder = folder
        self._evidence = evidence
        self._publish = publish
        self._roster = roster
        self._mine = mine
        self._waiting: dict[str, _Waiting] = {}
        self._looked_s = -LOOK_EVERY_S
        self._heard: set[str] = set()
        self._complaint = ""

    def heard(self, edge_ids: set[str]) -> None:
        """These edges have sent something: they are there, and may have answered."""
        self._heard |= edge_ids

    def work(self, now_s: float, now_ms: int) -> None:
        """Publishes what is new or due, and closes what was answered or has expired; `now_s` is machine time."""
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._go_through(now_s, now_ms)
        for one in self._waiting.values():
            if one.request.edge in self._heard and now_s >= one.next_s:
                self._publish(one.request.edge, one.note)
                one.sent(now_s)
        self._heard.clear()

    def _go_through(self, now_s: float, now_ms: int) -> None:
        """Looks at the folder; one that cannot be used is told once, for leaves must be taken whatever it does."""
        try:
            self._look(now_s)
            self._close(now_ms)
        except OutgoingUnusable as error:
            if str(error) != self._complaint:
                _log.error("requests are not sent: %s", error)
            self._complaint = str(error)
        else:
            self._complaint = ""

    def _look(self, now_s: float) -> None:
        """Takes up notes that are new in the folder, and sends each once at once."""
        for path in notes_in(self._folder):
            edge_id = path.name.split(".")[0]
            if path.name in self._waiting or not self._mine(edge_id):
                continue
            try:
                note, request = self._opened(path)
            except (RequestInvalid, BadConfiguration, OSError) as error:
                _log.error("request %s is not sent: %s", path, error)
                _renamed(path, UNSENT)
                continue
            one = self._waiting[path.name] = _Waiting(path, note, request)
            self._publish(edge_id, note)
            one.sent(now_s)

    def _opened(self, path: Path) -> tuple[bytes, Request]:
        note = read_bytes(path, MAX_REQUEST_BYTES)
        request = open_request(note, self._roster().configurer_keys())
        if path.name != file_name(request):
            raise RequestInvalid(f"it is request {request.serial} for {request.edge}; name it {file_name(request)}")
        return note, request

    def _close(self, now_ms: int) -> None:
        for name, one in list(self._waiting.items()):
            answered = answer_to(self._evidence, one.request, one.looked)
            if answered is not None:
                _log.info("request %s: %s %s", name, answered.event.kind, answered.event.data.get(REASON, ""))
                _renamed(one.path, f".{answered.origin.epoch}.{answered.i}{DONE}")
            elif now_ms > one.request.expires_s * 1000:
                _log.warning("request %s has expired, and its edge has not answered", name)
                _renamed(one.path, EXPIRED)
            elif one.path.exists():
                continue
            del self._waiting[name]


def file_name(request: Request) -> str:
    """Under which name a note waits."""
    return f"{request.edge}.{request.serial}{NOTE}"


def named(path: Path) -> Named | None:
    """What the name of a request's file says, whatever has become of it; None for a name that is none of ours."""
    edge, *inner, ending = path.name.split(".")
    numbers = {NOTE: 1, EXPIRED: 1, UNSENT: 1, DONE: 3}.get(f".{ending}", 0)
    if len(inner) != numbers or not all(one.isascii() and one.isdecimal() and len(one) < MAX_DIGITS for one in inner):
        return None
    try:
        return Named(check_edge_id(edge), int(inner[0])) if inner else None
    except BadName:
        return None


def notes_in(folder: Path) -> list[Path]:
    """The notes that wait in `folder`, at most MAX_NOTES; OutgoingUnusable where it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == NOTE)[:MAX_NOTES]
    except OSError as error:
        raise OutgoingUnusable(
            f"[ingest].outgoing {folder} cannot be read: {error.strerror}; make that folder"
        ) from error


def answer_to(evidence: EvidenceLog, request: Request, looked: dict[Origin, int]) -> Answered | None:
    """The answer in the log of the request's edge, if there is one; `looked` keeps how far each origin was read."""
    for origin in evidence.origins():
        if origin.edge_id != request.edge:
            continue
        size = evidence.head(origin).size
        start = looked.get(origin)
        if start is None:
            start = _first_since(evidence, origin, size, request.made_s * 1000 - MARGIN_MS)
        for i, event in events_in(evidence, origin, start, size):
            if event.data.get(SERIAL) == str(request.serial):
                return Answered(origin, i, event)
        looked[origin] = size
    return None


def events_in(evidence: EvidenceLog, origin: Origin, start: int, stop: int) -> Iterator[tuple[int, Event]]:
    """Every event in leaves start ≤ i < stop that answers a request; what cannot be read holds none."""
    for stored in evidence.leaves(origin, start, stop):
        try:
            body = inflate(stored.deflated)
            if _SERIAL not in body and b'"carried":' not in body:
                continue
            leaves = list(with_carried(decode(body)))
        except DataProblem:
            continue
        for leaf in leaves:
            yield from ((stored.i, event) for event in leaf.events if event.kind in ANSWERS)


def _first_since(evidence: EvidenceLog, origin: Origin, size: int, since_ms: int) -> int:
    """About the first leaf that was received at `since_ms` or later."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        stored = evidence.leaf(origin, middle)
        if stored is not None and stored.received_ms < since_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _renamed(path: Path, ending: str) -> None:
    try:
        path.rename(path.with_name(path.name.removesuffix(NOTE) + ending))
    except FileNotFoundError:
        return  # somebody took it away
    except OSError as error:
        raise OutgoingUnusable(f"{path} cannot be renamed: {error.strerror}; mend [ingest].outgoing") from error
