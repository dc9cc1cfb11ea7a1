"""Who has to give up room in a full quarantine. Pure.

Guaranteed: the sender that takes the most room gives up its own oldest messages first, so that nobody who fills the
quarantine can push out what others sent while they hold less.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from hakari.names import ALL_BATCHES, BadName, Origin

SENDER_END = ": "
# Of a large room a share is freed at once, so that not every further message looks through the whole quarantine.
FREED_SHARE = 100
LARGE = 10_000
_BATCHES = ALL_BATCHES.removesuffix("+/+")


class Entry(NamedTuple):
    """A quarantined message: its number, whence it came, its length in bytes."""

    id: int
    source: str
    size: int


def sender_of(source: str) -> str:
    """Whose message it is: the edge of a batch's topic or origin, the name of a source, else `source` itself."""
    if source.startswith(_BATCHES):
        return source.rpartition("/")[2]
    try:
        return Origin.parse(source).edge_id
    except BadName:
        return source.partition(SENDER_END)[0]


def to_drop(entries: Iterable[Entry], messages: int, size_bytes: int) -> list[int]:
    """The numbers of those that go where there are more than `messages`, or of more than `size_bytes` in all."""
    senders: dict[str, deque[Entry]] = {}
    for entry in sorted(entries):
        senders.setdefault(sender_of(entry.source), deque()).append(entry)
    dropped: list[int] = []
    for limit, measure in ((messages, _one), (size_bytes, _size)):
        held = {sender: sum(map(measure, kept)) for sender, kept in senders.items()}
        if sum(held.values()) > limit:
            freed = limit // FREED_SHARE if limit >= LARGE else 0
            dropped += _shrunk(senders, held, limit - freed, measure)
    return dropped


def _shrunk(
    senders: dict[str, deque[Entry]], held: dict[str, int], room: int, measure: Callable[[Entry], int]
) -> list[int]:
    total = sum(held.values())
    fullest = [(-size, senders[sender][0].id, sender) for sender, size in held.items() if senders[sender]]
    heapq.heapify(fullest)
    dropped: list[int] = []
    while total > room and fullest:
        negative, _, sender = heapq.heappop(fullest)
        gone = senders[sender].popleft()
        dropped.append(gone.id)
        total -= measure(gone)
        if senders[sender]:
            heapq.heappush(fullest, (negative + measure(gone), senders[sender][0].id, sender))
    return dropped


def _one(_entry: Entry) -> int:
    return 1


def _size(entry: Entry) -> int:
    return entry.size
