"""The shards of the topic that a worker owns: whose edges are its own, and how it asks the broker for them."""

from __future__ import annotations

import re
from typing import NamedTuple

from hakari.errors import BadConfiguration
from hakari.names import ALL_BATCHES, INGEST_CLIENT_ID, batches_of_shard, ingest_client_id, shard

ALL = "all"
SHARDS = 256
MAX_TEXT_CHARS = 4096

_RANGE = re.compile(r"([0-9a-f]{2})(?:-([0-9a-f]{2}))?")


class ShardsInvalid(BadConfiguration):
    """A list of shards cannot be read, or names one twice."""


class Subscription(NamedTuple):
    """One session at the broker: client id and user name, and the topic filter that it is subscribed to."""

    user: str
    topics: str


class Shards:
    """Some of the 256 shards, or all of them by one session."""

    def __init__(self, text: str) -> None:
        """`text` is "all", or two hex digits and ranges of them with commas between; ShardsInvalid otherwise."""
        self.text = text
        self._numbers = None if text == ALL else _numbers(text)

    @property
    def numbers(self) -> list[str]:
        """The shards, two hex digits each, ascending."""
        return [f"{n:02x}" for n in range(SHARDS)] if self._numbers is None else sorted(self._numbers)

    def mine(self, edge_id: str) -> bool:
        """Whether the edge's leaves come to this worker."""
        return self._numbers is None or shard(edge_id) in self._numbers

    @property
    def first(self) -> bool:
        """Whether shard 00 is among them: of several workers this one judges what is about all of ingest."""
        return self.numbers[:1] == ["00"]

    def subscriptions(self) -> list[Subscription]:
        """The sessions that this worker keeps: one for everything, else one a shard."""
        if self._numbers is None:
            return [Subscription(INGEST_CLIENT_ID, ALL_BATCHES)]
        return [Subscription(ingest_client_id(one), batches_of_shard(one)) for one in self.numbers]


def _numbers(text: str) -> frozenset[str]:
    found: list[str] = []
    for part in text[:MAX_TEXT_CHARS].split(","):
        bounds = _RANGE.fullmatch(part.strip())
        first, last = (int(bounds[1], 16), int(bounds[2] or bounds[1], 16)) if bounds else (1, 0)
        if first > last:
            raise ShardsInvalid(
                f'shards = {text[:80]!r}: {part.strip()[:80]!r} is no shard; write "all", or shards of two hex digits'
                ' and ranges of them, as in "00-3f,80"'
            )
        found += [f"{n:02x}" for n in range(first, last + 1)]
    if len(set(found)) != len(found):
        raise ShardsInvalid(f"shards = {text[:80]!r} names a shard twice; name each once")
    return frozenset(found)
