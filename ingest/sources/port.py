"""What every other sender comes down to: a message with its bytes, and the readings that a parser finds in it.

A parser is pure: bytes in, readings and refusals out, never both lost. Whoever fetches messages acknowledges one only
after the readings are leaves on disk and what was refused is quarantined.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_READINGS = 100_000


class Message(NamedTuple):
    """One message or file as it came: the source's name in the settings, its topic or file name, and its bytes."""

    source: str
    name: str
    payload: bytes


class GivenReading(NamedTuple):
    """What a sender says of one point: UTC milliseconds, and the decimal number as text, never through a float.

    `meter` and `point` are ours, after the source's declared mapping; `where` tells people its place in the message
    ("line 12, column kWh"), "" where it has none.
    """

    meter: str
    point: str
    t_ms: int
    value: str
    where: str = ""


class Parsed(NamedTuple):
    """What a message holds: its readings, and one sentence for each part that cannot be one.

    `unmapped` are sentences for kinds of parts that the mapping does not ask for: they come with every message, so
    that each is recorded once and then counted.
    """

    readings: list[GivenReading]
    refused: list[str]
    unmapped: tuple[str, ...] = ()


class Parser(Protocol):
    """One format under one declared mapping."""

    def parse(self, message: Message, now_ms: int) -> Parsed:
        """The readings in `message`, which arrived at `now_ms`; never raises for what a sender can send."""
        ...
