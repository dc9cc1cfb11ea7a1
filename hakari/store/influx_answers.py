"""What InfluxDB's answers mean for what was sent: one table, and how a refused write is taken apart. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import NamedTuple

from hakari.errors import DataProblem
from hakari.store.view import ViewUnavailable

MAX_LINES = 10_000
MAX_OFFENDERS = 100
MAX_RETRY_AFTER_S = 3600.0
NO_ANSWER = 0

Send = Callable[[Sequence[str]], None]


class Verdict(Enum):
    """What an answer means for what was sent."""

    FINE = "fine"
    SPLIT = "send it in smaller parts; a single line that is refused goes into quarantine"
    LATER = "try again, then ask to be called later"
    PAUSE = "stop until a person has mended it"


ODD = "check that [influxdb].url is InfluxDB 2.7"

# The first row that fits decides. Status from, to; what the message holds; what it means; what to do.
VERDICTS: tuple[tuple[int, int, str, Verdict, str], ...] = (
    (200, 299, "", Verdict.FINE, ""),
    (400, 499, "retention policy", Verdict.PAUSE, "its retention would drop readings; set it to infinite"),
    (400, 400, "", Verdict.SPLIT, ""),
    (422, 422, "", Verdict.SPLIT, ""),
    (413, 413, "", Verdict.SPLIT, ""),
    (429, 429, "", Verdict.LATER, "it asks to wait"),
    (500, 599, "", Verdict.LATER, "look into its log"),
    (NO_ANSWER, NO_ANSWER, "certificate", Verdict.PAUSE, "trust its authority, or name it as its certificate does"),
    (NO_ANSWER, NO_ANSWER, "", Verdict.LATER, "check that it runs and [influxdb].url"),
    (401, 401, "is unauthorized", Verdict.PAUSE, "give the token the rights that docs/ingest.md names"),
    (401, 401, "", Verdict.PAUSE, "write a valid token into [influxdb].token_file and start again"),
    (403, 403, "", Verdict.PAUSE, "give the token the rights that docs/ingest.md names"),
    (
        404,
        404,
        "",
        Verdict.PAUSE,
        "check [influxdb].org and bucket, and that the token may read it; then run: hakari view init",
    ),
    (300, 399, "", Verdict.PAUSE, "[influxdb].url leads elsewhere; write the address of InfluxDB itself"),
)


def classify(status: int, message: str) -> tuple[Verdict, str]:
    """What an HTTP status (0: no answer) with the server's message means, and what to do about it."""
    for low, high, part, verdict, advice in VERDICTS:
        if low <= status <= high and part in message:
            return verdict, advice
    return Verdict.PAUSE, ODD


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """How long a `Retry-After` of seconds or an HTTP date asks to wait, at most an hour; None where it says nothing."""
    if not header:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


class Answer(NamedTuple):
    """What came back: the status (0: nothing), its body, its message, and how long the server asks to wait."""

    status: int
    body: bytes
    message: str
    retry_after_s: float | None


class Offender(NamedTuple):
    """A line that the server refuses whatever is sent with it, and why in its own words."""

    at: int
    message: str


class LinesRefused(DataProblem):
    """The server refuses some of the lines that were sent, or all of them together as too large."""


def bisect(send: Send, lines: Sequence[str]) -> list[Offender]:
    """Sends all `lines`, ever smaller parts of what is refused; the single lines that are refused.

    Errors: ViewUnavailable when more than 100 are, since then the server is at fault and not the lines.
    """
    offenders: list[Offender] = []
    parts = [(at, min(at + MAX_LINES, len(lines))) for at in range(0, len(lines), MAX_LINES)][::-1]
    while parts:
        low, high = parts.pop()
        try:
            send(lines[low:high])
        except LinesRefused as error:
            if high - low > 1:
                middle = (low + high) // 2
                parts += [(middle, high), (low, middle)]
                continue
            offenders.append(Offender(low, str(error)))
            if len(offenders) > MAX_OFFENDERS:
                raise ViewUnavailable(
                    f"InfluxDB refuses more than {MAX_OFFENDERS} lines of one write, the last one because: {error};"
                    " nothing is passed over: look whether somebody else writes into this bucket"
                ) from error
    return offenders
