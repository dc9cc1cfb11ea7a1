"""InfluxDB 2.7 or 3 over the transport of influxdb-client: lines in, typed answers out, errors classified.

Guaranteed: a line is either stored, or given back with the server's own sentence, or the call ends with
ViewUnavailable; nothing is dropped in silence. Integers come back exact: answers to InfluxQL are MessagePack from
InfluxDB 2, and from InfluxDB 3 JSON, whose integers Python keeps whole.
"""

from __future__ import annotations

import re
import ssl
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import Any, TypeVar

import msgspec
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException

from hakari.influxdb import InfluxSettings
from hakari.measurements import (
    ALARM,
    ALARM_TAGS,
    CURSOR,
    DAY_TAGS,
    EDGE_MINUTE,
    EDGE_TAGS,
    EMISSIONS_DAY,
    EMISSIONS_TAGS,
    HEALTH_MINUTE,
    HEALTH_TAGS,
    METER_MINUTE,
    METER_TAGS,
    PERIOD_DAY,
    READING,
    READING_TAGS,
    REFUSED,
)
from hakari.store.influx_answers import (
    NO_ANSWER,
    ODD,
    Answer,
    Bucket,
    Buckets,
    JsonResults,
    LinesRefused,
    Message,
    Offender,
    Orgs,
    Results,
    Series,
    Verdict,
    bisect,
    classify,
    database_names,
    inlined,
    regrouped,
    retry_after_s,
    worded,
)
from hakari.store.lines import MORE
from hakari.store.view import ViewUnavailable

MAX_ANSWER_BYTES = 256 * 1024 * 1024
MAX_SHOWN_CHARS = 300
ATTEMPTS = 3
FIRST_WAIT_S = 0.2
MAX_OWN_WAIT_S = 2.0
CONNECTIONS = 4
# All that is left of "database not found" in the answer to a request of several statements.
NOT_EXECUTED = "not executed"
FOREVER = ("1677-09-21T00:12:43.145224194Z", "2262-04-11T23:47:16.854775806Z")

DATABASE_PATH = "/api/v3/configure/database"
TABLE_PATH = "/api/v3/configure/table"
# InfluxDB 3 takes a table's tags from its first line and no further one later.
TABLES = {
    READING: (*READING_TAGS, MORE),
    CURSOR: ("edge", "epoch", "generation"),
    REFUSED: ("edge", "epoch"),
    HEALTH_MINUTE: HEALTH_TAGS,
    EDGE_MINUTE: EDGE_TAGS,
    METER_MINUTE: METER_TAGS,
    ALARM: ALARM_TAGS,
    PERIOD_DAY: DAY_TAGS,
    EMISSIONS_DAY: EMISSIONS_TAGS,
}

T = TypeVar("T")


class AnswerUnreadable(ViewUnavailable):
    """What answers is not what `[influxdb].endpoint` says, or its answer is larger than the limit."""


class RowsStay(ViewUnavailable):
    """Rows are to be deleted in InfluxDB 3, which documents no means for it."""


class Influx:
    """One organisation and bucket of one server; for one thread at a time."""

    def __init__(self, settings: InfluxSettings, token: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Opens nothing yet; `sleep` waits between own retries."""
        timeout_ms = round(settings.timeout_s * 1000)
        # Python's own context, so that the authorities are the system's whatever client library is underneath.
        tls: dict[str, Any] = {"ssl_context": ssl.create_default_context()} if settings.url.startswith("https:") else {}
        self._client = InfluxDBClient(
            settings.url.rstrip("/"), token, timeout=timeout_ms, org=settings.org,
            connection_pool_maxsize=CONNECTIONS, **tls,
        ).api_client  # fmt: skip
        self._three = settings.endpoint == "influxdb3"
        if self._three:
            self._client.default_headers["Authorization"] = f"Bearer {token}"
        self._settings = settings
        self._sleep = sleep
        database, slash, policy = settings.bucket.partition("/")
        self._database = [("db", database), *([("rp", policy)] if slash else [])]

    @property
    def name(self) -> str:
        """How a sentence names this bucket."""
        return f"InfluxDB bucket {self._settings.bucket} at {self._settings.url}"

    def write(self, lines: Sequence[str]) -> list[Offender]:
        """Stores `lines`; those that the server refuses by themselves, with its sentence.

        Errors: ViewUnavailable, after which any of them may be stored or not: write the same again.
        """
        return bisect(self._send, lines)

    def taken(self, blocks: Sequence[str]) -> bool:
        """Whether the server stored all `blocks` of lines in one request; where it did not, some may be."""
        try:
            self._send(blocks)
        except LinesRefused:
            return False
        return True

    def write_all(self, lines: Sequence[str]) -> None:
        """As `write`, but ViewUnavailable where any line is refused."""
        offenders = self.write(lines)
        if offenders:
            raise ViewUnavailable(
                f"{self.name} refuses {len(offenders)} of {len(lines)} lines, the first because:"
                f" {offenders[0].message}; look whether somebody else writes into this bucket"
            )

    def query(self, influxql: str, values: Mapping[str, object] | None = None) -> list[list[Series]]:
        """The series of each statement of `influxql`, whose `$names` stand for `values`; times in nanoseconds."""
        if self._three:
            return [self._one(inlined(statement, values or {})) for statement in influxql.split("; ")]
        form = [*self._database, ("q", influxql), ("epoch", "ns"), ("params", dumps(dict(values or {})))]
        answer = self._call(
            "POST", "/query", form=form, headers={"Content-Type": _FORM, "Accept": "application/x-msgpack"}
        )
        found = self._decoded(answer.body, Results, msgspec.msgpack.decode)
        self._check_errors([found.error, *(result.error for result in found.results)])
        return [result.series for result in found.results]

    def delete(self, predicate: str, start: str = FOREVER[0], stop: str = FOREVER[1]) -> None:
        """Forgets the points of `predicate` from `start` to `stop`, both included; RowsStay with InfluxDB 3."""
        if self._three:
            raise RowsStay(
                f"{self.name} is InfluxDB 3, which documents no way to delete rows; nothing was deleted: write the name"
                " of a new database into [influxdb].bucket, run hakari view init, and start the rooms again"
            )
        body = {"start": start, "stop": stop, "predicate": predicate}
        self._call("POST", "/api/v2/delete", query=self._place(), body=body)

    def bucket(self) -> Bucket | None:
        """Our bucket, None where there is none or the token may not see it; InfluxDB 3 does not tell its retention."""
        if self._three:
            answer = self._call("GET", DATABASE_PATH, query=[("format", "json")])
            names = database_names(self._decoded(answer.body, object, msgspec.json.decode))
            return Bucket("", "", self._settings.bucket) if self._settings.bucket in names else None
        wanted = [("org", self._settings.org), ("name", self._settings.bucket)]
        answer = self._call("GET", "/api/v2/buckets", query=wanted, allow=404)
        if answer.status == 404:
            return None
        found = self._decoded(answer.body, Buckets, msgspec.json.decode).buckets
        return next((bucket for bucket in found if bucket.name == self._settings.bucket), None)

    def keeping_bucket(self) -> Bucket | None:
        """Our bucket, None where there is none; ViewUnavailable where it drops what is old.

        With InfluxDB 3 ViewUnavailable where there is none: a write would make it, with tags of the first line alone.
        """
        bucket = self.bucket()
        if bucket is None and self._three:
            raise self._unavailable(Answer(404, b"", "database not found", None))
        if bucket is not None and bucket.retention_s:
            raise ViewUnavailable(
                f"{self.name} drops points after {bucket.retention_s} s, and readings with them; nothing was written:"
                " set its retention to infinite, or name another bucket"
            )
        return bucket

    def made_bucket(self) -> bool:
        """Whether our bucket had to be made; it keeps points for ever. ViewUnavailable where it cannot be had."""
        if self._three:
            return self._made_database()
        if self.keeping_bucket() is not None:
            return False
        answer = self._call("GET", "/api/v2/orgs", query=[("org", self._settings.org)])
        orgs = self._decoded(answer.body, Orgs, msgspec.json.decode).orgs
        if not orgs:
            raise self._unavailable(Answer(403, b"", f"organisation {self._settings.org} cannot be seen", None))
        body = {"orgID": orgs[0].id, "name": self._settings.bucket, "retentionRules": []}
        try:
            self._call("POST", "/api/v2/buckets", body=body)
        except ViewUnavailable:
            # Two may make it at once, and an answer may be lost on its way.
            if self.keeping_bucket() is None:
                raise
        return True

    def close(self) -> None:
        """Closes connections, for good."""
        pool, self._client.rest_client.pool_manager = self._client.rest_client.pool_manager, None  # type: ignore[assignment]
        if pool is not None:
            pool.clear()

    def _made_database(self) -> bool:
        """Whether our database had to be made; its tables are there with all their tags, whoever made them."""
        name = self._settings.bucket
        made = self.bucket() is None
        if made:
            self._call("POST", DATABASE_PATH, body={"db": name}, allow=409)
        for table, tags in TABLES.items():
            self._call("POST", TABLE_PATH, body={"db": name, "table": table, "tags": list(tags)}, allow=409)
        return made

    def _one(self, statement: str) -> list[Series]:
        """The series of one statement, asked of InfluxDB 3."""
        asked = [("db", self._settings.bucket), ("q", statement), ("epoch", "ns")]
        answer = self._call("GET", "/query", query=asked, headers={"Accept": "application/json"})
        if not answer.body.strip():
            return []  # no row: earlier releases of InfluxDB 3 answer nothing at all then
        found = self._decoded(answer.body, JsonResults, msgspec.json.decode)
        self._check_errors([found.error, *(result.error for result in found.results)])
        return [one for result in found.results for series in result.series for one in regrouped(statement, series)]

    def _check_errors(self, errors: Sequence[str]) -> None:
        said = [text for text in errors if text]
        if said:
            text = next((text for text in said if text != NOT_EXECUTED), NOT_EXECUTED)
            gone = "not found" in text or (text == NOT_EXECUTED and self.bucket() is None)
            text = "bucket not found" if gone else text
            raise self._unavailable(Answer(404 if gone else 500, b"", _shown(text), None))

    def _place(self) -> list[tuple[str, str]]:
        return [("org", self._settings.org), ("bucket", self._settings.bucket)]

    def _send(self, lines: Sequence[str]) -> None:
        body = "\n".join(lines).encode("utf-8", "replace")
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._settings.compress:
            deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
            body = deflate.compress(body) + deflate.flush()
            headers["Content-Encoding"] = "gzip"
        path, query = "/api/v2/write", [*self._place(), ("precision", "ns")]
        if self._three:
            path = "/api/v3/write_lp"
            query = [("db", self._settings.bucket), ("precision", "nanosecond"), ("accept_partial", "false")]
        answer = self._call("POST", path, query=query, body=body, headers=headers, split=True)
        if not 200 <= answer.status <= 299:
            raise LinesRefused(answer.message)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] = (),
        body: object = None,
        headers: Mapping[str, str] | None = None,
        allow: int = -1,
        split: bool = False,
    ) -> Answer:
        """The answer, if it is fine, `allow`ed, or one that asks to `split`; ViewUnavailable otherwise."""
        wait_s = FIRST_WAIT_S
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._once(method, path, list(query), list(form), body, dict(headers or {}))
            verdict = classify(answer.status, answer.message)[0]
            if verdict is Verdict.FINE or answer.status == allow or (split and verdict is Verdict.SPLIT):
                return answer
            wait_s = max(wait_s, answer.retry_after_s or 0.0)
            if verdict is not Verdict.LATER or wait_s > MAX_OWN_WAIT_S or attempt == ATTEMPTS:
                break
            self._sleep(wait_s)
            wait_s *= 2
        raise self._unavailable(answer)

    def _once(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        form: list[tuple[str, str]],
        body: object,
        headers: dict[str, str],
    ) -> Answer:
        try:
            response = self._client.call_api(  # type: ignore[no-untyped-call]
                path, method, query_params=query, post_params=form, body=body,
                header_params={"Content-Type": "application/json", **headers}, _preload_content=False,
                _return_http_data_only=True,
            )  # fmt: skip
            content = _read(response)
        except ApiException as error:
            return _refused(error)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return Answer(NO_ANSWER, b"", _shown(_why(error)), None)
        return Answer(int(response.status), content, "", None)

    def _unavailable(self, answer: Answer) -> ViewUnavailable:
        advice = classify(answer.status, answer.message)[1] or ODD
        said = f"answers {answer.status} ({answer.message})" if answer.status else f"gives no answer ({answer.message})"
        return ViewUnavailable(f"{self.name} {said}; nothing was dropped: {advice}", answer.retry_after_s)

    def _decoded(self, body: bytes, kind: type[T], decode: Callable[..., T]) -> T:
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerUnreadable(f"{self.name} gives an answer of more than {MAX_ANSWER_BYTES} bytes")
        try:
            return decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise AnswerUnreadable(
                f"{self.name} gives an answer that is not {'InfluxDB 3' if self._three else 'InfluxDB 2'}'s ({error});"
                " check [influxdb].url: InfluxDB 3 answers in JSON alone and wants [influxdb].endpoint ="
                ' "influxdb3"; what answers no InfluxQL cannot hold the view, which counts what it has written'
            ) from error


_OBJECT = re.compile(r"<[^<>]*>: |\w+\([^()]*\): ")
_FORM = "application/x-www-form-urlencoded"


def rfc3339(ns: int) -> str:
    """Nanoseconds since 1970 as the delete API takes them."""
    seconds, rest = divmod(ns, 10**9)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _read(response: urllib3.HTTPResponse) -> bytes:
    """The body, one byte beyond the limit at most; the connection goes back for the next request."""
    content = response.read(MAX_ANSWER_BYTES + 1)
    if len(content) > MAX_ANSWER_BYTES:
        response.close()
    response.release_conn()
    return content


def _why(error: BaseException) -> str:
    """What the innermost error says: those around it only repeat the address."""
    inner = error
    while isinstance(inner.__cause__ or inner.__context__, OSError | urllib3.exceptions.HTTPError):
        inner = inner.__cause__ or inner.__context__ or inner
    return (isinstance(inner, OSError) and inner.strerror) or _OBJECT.sub("", str(inner)) or type(inner).__name__


def _refused(error: ApiException) -> Answer:
    """The server's own sentence, as JSON or plain text."""
    body = error.body if isinstance(error.body, bytes) else str(error.body or error.reason or "").encode()
    try:
        told = msgspec.json.decode(body, type=Message)
        message = worded(told.message, told.error, told.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = ""
    header = error.headers.get("Retry-After") if error.headers else None
    text = message or body.decode("utf-8", "replace")
    return Answer(error.status or NO_ANSWER, b"", _shown(text), retry_after_s(header, datetime.now(UTC)))


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN_CHARS else line[:MAX_SHOWN_CHARS] + "…"
