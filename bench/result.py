"""What a benchmark reports."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Skipped(Exception):
    """A benchmark lacks what it needs; the text says what."""


class Result(NamedTuple):
    """One measured number beside that of a named peer or limit, in one unit.

    `reference` is the peer's number from the same run, or the limit. `better` says which side of it is the good
    one, and `allowed` how many times the reference may be: 1 for a limit, what the guarantees cost for a peer.
    """

    name: str
    measured: float
    unit: str
    against: str
    reference: float
    better: Literal["lower", "higher"] = "lower"
    allowed: float = 1.0

    @property
    def ratio(self) -> float:
        """How many times the reference was measured."""
        return self.measured / self.reference

    @property
    def holds(self) -> bool:
        """Whether the ratio is on the good side of what is allowed."""
        return self.ratio <= self.allowed if self.better == "lower" else self.ratio >= self.allowed
