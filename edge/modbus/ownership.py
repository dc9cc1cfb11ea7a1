"""Whose answer is it: on RTU no frame says which request it belongs to. Pure; times are seconds of one monotonic clock.

Assumed, and nothing else: an answer comes within the time that its request is kept open, or never; a frame that comes
twice begins its second time within `echo_s` after its first; a frame that bears another's unit or function is not
late as well. Then an answer is handed out for the request that it answers, or not at all
(docs/decisions/0015-whose-answer.md).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from edge.modbus.bus import is_mismatch
from edge.modbus.frame import Request, refusal_of
from hakari.registers.requests import ReadRequest

MAX_SEEN = 256


class Shape(NamedTuple):
    """What tells one answer from another: unit, function and registers (0 where the answer says its own length)."""

    unit: int
    function: int
    words: int


class Fate(Enum):
    """What becomes of a frame."""

    OURS = "the answer to the request that waits"
    LATE = "an answer to an older request"
    NOISE = "an answer to nothing that was asked"


class _Open(NamedTuple):
    request: Request
    shape: Shape
    until_s: float


def shape_of(request: Request) -> Shape:
    """The shape of the answer to `request`."""
    return Shape(request.unit, request.function, request.count if isinstance(request, ReadRequest) else 0)


class Ownership:
    """The requests of one line that an answer may still come to, and the one that is waiting.

    A frame is ours only if it fits the request that waits and no open one. An exception tells no count, so that it fits
    every request of its unit and function. An open request ends by time alone: what looks like its late answer may be
    another's that bears its unit.
    """

    def __init__(self, echo_s: float, char_s: float) -> None:
        self._echo_s = echo_s
        self._char_s = char_s
        self._current: _Open | None = None
        self._open: list[_Open] = []
        self._seen: dict[bytes, float] = {}

    def blocked_until(self, request: Request, now_s: float) -> float:
        """Until when an older request is open whose answer would look like that of `request`; `now_s` if none is."""
        self._forget(now_s)
        shape = shape_of(request)
        return max((one.until_s for one in self._open if one.shape == shape), default=now_s)

    def echo_until(self, request: Request, now_s: float) -> float:
        """Until when a frame that fits `request` may come a second time; `now_s` if none was seen of late."""
        self._forget(now_s)
        return max((until_s for body, until_s in self._seen.items() if _fits(request, body)), default=now_s)

    def sent(self, request: Request, until_s: float) -> None:
        """`request` goes out; an answer to it comes by `until_s` or never."""
        self._current = _Open(request, shape_of(request), until_s)

    def gave_up(self) -> None:
        """The request is not waited for any more: it stays open, even if an answer comes that looks like its own."""
        if self._current is not None:
            self._open.append(self._current)
        self._current = None

    def expects(self, beginning: bytes) -> bool:
        """Whether a frame that begins so (unit, function, a length where it has one) may be an answer."""
        candidates = [self._current, *self._open] if self._current else self._open
        return any(_begins(one.shape, beginning) for one in candidates)

    def received(self, body: bytes, now_s: float) -> Fate:
        """What becomes of a frame (unit and PDU, its CRC was right) that was whole at `now_s`."""
        self._forget(now_s)
        if len(self._seen) >= MAX_SEEN:
            self._seen.pop(next(iter(self._seen)))
        self._seen[body] = now_s + self._echo_s + len(body) * self._char_s
        older = any(_fits(one.request, body) for one in self._open)
        if older:  # an exception that may be an older request's or ours is nobody's
            return Fate.LATE
        if self._current is not None and _fits(self._current.request, body):
            self._current = None
            return Fate.OURS
        return Fate.NOISE

    def _forget(self, now_s: float) -> None:
        if self._open:
            self._open = [one for one in self._open if one.until_s > now_s]
        if self._seen:
            self._seen = {body: until_s for body, until_s in self._seen.items() if until_s > now_s}


def _fits(request: Request, body: bytes) -> bool:
    return body[0] == request.unit and not is_mismatch(refusal_of(request, body[1:]))


def _begins(shape: Shape, beginning: bytes) -> bool:
    if beginning[:1] != bytes((shape.unit,)):
        return False
    if len(beginning) < 2:
        return True
    if beginning[1] != shape.function:
        return beginning[1] == shape.function | 0x80
    return not shape.words or len(beginning) < 3 or beginning[2] == 2 * shape.words
