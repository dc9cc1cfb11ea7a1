"""Leaves whose bodies nobody has any more (I11): kept by their hash alone, after a person's decision that is named.

Such a leaf holds no reading. The root over it stays the one that its edge signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

from hakari.errors import DataProblem
from hakari.period import time_text

MAX_NAME_CHARS = 200
MAX_WHY_CHARS = 2000

Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class ForgoneMalformed(DataProblem):
    """What should be a decision about lost bodies cannot be read as one."""


class Forgone(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=True):
    """That `who` decided, at `at_ms` (UTC milliseconds), to go on without the bodies of leaves start ≤ i < stop."""

    start: Number
    stop: Number
    at_ms: Number
    who: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
    why: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_WHY_CHARS)]

    def __str__(self) -> str:
        return (
            f"bodies of leaves {self.start} to {self.stop - 1} are gone for good, decided by {self.who} at"
            f" {time_text(self.at_ms)}: {self.why}"
        )

    def encode(self) -> bytes:
        """The one line of JSON that a pack carries."""
        return msgspec.json.encode(self)


def decode(line: bytes) -> Forgone:
    """The decision that `line` is, in the one form in which it is written; ForgoneMalformed otherwise."""
    try:
        found = msgspec.json.decode(line, type=Forgone)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ForgoneMalformed(f"a decision about lost bodies cannot be read: {str(error)[:200]}") from error
    if found.encode() != line:
        raise ForgoneMalformed("a decision about lost bodies is not in its one form")
    return found


def covering(decisions: Iterable[Forgone], i: int) -> Forgone | None:
    """The first of `decisions` that covers leaf `i`."""
    found: Iterator[Forgone] = (one for one in decisions if one.start <= i < one.stop)
    return next(found, None)
