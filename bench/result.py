"""What a benchmark reports."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Skipped(Exception):
    """A benchmark lacks what it needs; the text says what."""


class Result(NamedTuple):
    """One measured number against a named peer or limit; `better` says on which side of it to be."""

    name: str
    measured: float
    unit: str
    against: str
    limit: float
    better: Literal["lower", "higher"] = "lower"

    @property
    def holds(self) -> bool:
        """Whether the limit is kept."""
        return self.measured <= self.limit if self.better == "lower" else self.measured >= self.limit
