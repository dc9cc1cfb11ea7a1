"""What InfluxDB's answers hold and mean for what was sent, and how a refused write is taken apart.

Pure. InfluxDB 3: https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, NamedTuple

import msgspec

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


ODD = "check that [influxdb].url is what [influxdb].endpoint says: InfluxDB 2.7 as influxdb2"

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


class Bucket(msgspec.Struct, frozen=True):
    """A bucket: id, organisation, name, and for how long it keeps points (0: for ever)."""

    id: str
    org_id: str = msgspec.field(name="orgID")
    name: str
    rules: list[dict[str, Any]] = msgspec.field(name="retentionRules", default_factory=list)

    @property
    def retention_s(self) -> int:
        """Seconds after which points are dropped, 0 for never."""
        return max((int(rule.get("everySeconds", 0)) for rule in self.rules), default=0)


class Series(msgspec.Struct, frozen=True):
    """One series of a query's answer."""

    values: list[Any]
    name: str = ""
    columns: list[str] = []
    tags: dict[str, str] = {}


class Result(msgspec.Struct, frozen=True):
    """What one statement of InfluxQL answers."""

    series: list[Series] = []
    error: str = ""


class JsonSeries(msgspec.Struct, frozen=True):
    """One series of InfluxDB 3, whose absent tags may be null."""

    values: list[list[Any]] = []
    name: str = ""
    columns: list[str] = []
    tags: dict[str, str | None] = {}


class JsonResult(msgspec.Struct, frozen=True):
    """What one statement answers in InfluxDB 3."""

    series: list[JsonSeries] = []
    error: str = ""


class JsonResults(msgspec.Struct, frozen=True):
    """What a request answers in InfluxDB 3."""

    results: list[JsonResult] = []
    error: str = ""


class Results(msgspec.Struct, frozen=True):
    """What a request of several statements answers."""

    results: list[Result] = []
    error: str = ""


class Message(msgspec.Struct, frozen=True):
    """An error: InfluxDB 2 words `message`, InfluxDB 3 `error` and `data`."""

    message: str = ""
    error: str = ""
    data: Any = None


class Buckets(msgspec.Struct, frozen=True):
    """Buckets that the token may see."""

    buckets: list[Bucket] = []


class Org(msgspec.Struct, frozen=True):
    """An organisation."""

    id: str


class Orgs(msgspec.Struct, frozen=True):
    """Organisations that the token may see."""

    orgs: list[Org] = []


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


def inlined(statement: str, values: Mapping[str, object]) -> str:
    """One statement of InfluxQL with its `$names` as literals: the /query of InfluxDB 3 documents no bound values."""
    return _BOUND.sub(lambda name: _literal(values[name[1]]), statement)


def regrouped(statement: str, series: JsonSeries) -> list[Series]:
    """The series that `statement` asked for: tags that came as columns tell its rows apart again."""
    grouped = _GROUPED.search(statement)
    names = [name for name in grouped[1].split(", ") if name in series.columns] if grouped else []
    places = [series.columns.index(name) for name in names]
    kept = [k for k in range(len(series.columns)) if k not in places]
    parts: dict[tuple[str, ...], list[list[Any]]] = {}
    for row in series.values:
        parts.setdefault(tuple(row[k] or "" for k in places), []).append([row[k] for k in kept])
    columns, tags = [series.columns[k] for k in kept], {name: value or "" for name, value in series.tags.items()}
    return [
        Series(rows, series.name, columns, {**tags, **dict(zip(names, key, strict=True))})
        for key, rows in parts.items()
    ]


def database_names(found: object) -> set[str]:
    """The databases that InfluxDB 3 lists, as names under `databases` or as a row for each."""
    listed = found.get("databases") if isinstance(found, dict) else found
    rows = listed if isinstance(listed, list) else []
    return {str(row.get("iox::database", "")) if isinstance(row, dict) else str(row) for row in rows}


def worded(message: str, error: str, data: object) -> str:
    """An error's sentence: InfluxDB 2's `message`, or InfluxDB 3's `error` with that of the first line in `data`."""
    first = data[0] if isinstance(data, list) and data else data
    detail = first.get("error_message") if isinstance(first, dict) else None
    return message or (f"{error}: {detail}" if detail else error)


_BOUND = re.compile(r"\$([a-z]+)")
_GROUPED = re.compile(r" GROUP BY ([a-z_, ]+?)(?: ORDER BY | LIMIT |$)")


def _literal(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{text}'"
