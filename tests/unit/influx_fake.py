"""A small InfluxDB that stores lines and misbehaves on request: a real HTTP server on the loopback address."""

from __future__ import annotations

import gzip
import json
import re
import ssl
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl

TOKEN = "token-of-the-fake"
REFUSED_AS_A_WHOLE = "parsing failed for write_lp endpoint"

_LINE = re.compile(r"(\S+) (.+) (-?[0-9]+)")
_FIELD = re.compile(r'([^=,]+)=("(?:[^"\\]|\\.)*"|[^,]+)')
_SELECT = re.compile(
    r"SELECT (.+?) FROM (\w+)(?: WHERE (.+?))?(?: GROUP BY ([\w, ]+?))?(?: ORDER BY time DESC)?(?: LIMIT ([0-9]+))?"
)
_ITEM = re.compile(r'(last|count)\((?:/(.+?)/|"?([\w.]+)"?)\)|"?([\w.]+)"?::\w+')
_CONDITION = re.compile(r"(\w+) (=|<=?|>=?) (-?[0-9]+|'[^']*')")


class Forced(NamedTuple):
    """An answer that is given instead of the true one. `status` 0 cuts the connection, −1 answers garbage."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class FakeInflux:
    """Takes writes at /api/v2/write; `forced` answers come first, each once.

    Lines that `drop` matches are left out and told as a partial write with `partial_status`.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        """With `context` it speaks TLS."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self) -> None:
                fake._answer(self)

            def do_GET(self) -> None:
                fake._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.token = f"Token {TOKEN}"
        self.prefix = ""
        self.queries: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self._server.server_port}"
        self.forced: deque[Forced] = deque()
        self.lines: list[str] = []
        self.requests: list[tuple[str, int]] = []
        self.refuse = ""
        self.drop = ""
        self.partial_status = 422
        self.encodings: list[str] = []
        self.max_body_bytes = 10**9
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.requests.append((request.path.partition("?")[0], len(body)))
        self.queries.append(dict(parse_qsl(request.path.partition("?")[2])))
        answer = self.forced.popleft() if self.forced else self._true(request, body)
        if answer.status <= 0:
            if answer.status < 0:
                request.wfile.write(b"\x00\xffgarbage, no HTTP\r\n\r\n")
            request.close_connection = True
            request.connection.close()
            return
        request.send_response(answer.status)
        for name, value in answer.headers:
            request.send_header(name, value)
        if answer.status != 204:
            request.send_header("Content-Length", str(len(answer.body)))
        request.end_headers()
        request.wfile.write(answer.body)

    def _true(self, request: BaseHTTPRequestHandler, body: bytes) -> Forced:
        if request.headers.get("Authorization") != self.token:
            return said(401, "unauthorized access")
        if not request.path.startswith(f"{self.prefix}/api/v2/write"):
            return said(404, "path not found")
        if len(body) > self.max_body_bytes:
            return said(413, "request too large")
        lines = self._lines_of(request, body)
        for line in lines:
            if self.refuse and re.search(self.refuse, line):
                return said(400, f"unable to parse '{line}': refused")
        kept = [line for line in lines if not (self.drop and re.search(self.drop, line))]
        self.lines += kept
        if len(kept) < len(lines):
            return said(self.partial_status, f"partial write: field type conflict dropped={len(lines) - len(kept)}")
        return Forced(204)

    def _lines_of(self, request: BaseHTTPRequestHandler, body: bytes) -> list[str]:
        self.encodings.append(request.headers.get("Content-Encoding", ""))
        return (gzip.decompress(body) if self.encodings[-1] == "gzip" else body).decode().split("\n")


def said(status: int, message: str, *headers: tuple[str, str]) -> Forced:
    """An error as InfluxDB words it."""
    return Forced(status, json.dumps({"code": "some code", "message": message}).encode(), headers)


class FakePoint(NamedTuple):
    """A line that the fake InfluxDB 3 has stored."""

    table: str
    tags: dict[str, str]
    ns: int
    fields: dict[str, Any]


class FakeInflux3(FakeInflux):
    """InfluxDB 3 Core as its documentation has it: native writes refused whole, one InfluxQL statement in JSON.

    `tags_as_columns` and `nothing_for_no_rows` make it answer as its earlier releases do.
    """

    def __init__(self) -> None:
        """Has no database yet."""
        super().__init__()
        self.token = f"Bearer {TOKEN}"
        self.databases: list[str] = []
        self.tables: dict[str, list[str]] = {}
        self.points: dict[tuple[str, tuple[tuple[str, str], ...], int], FakePoint] = {}
        self.tags_as_columns = self.nothing_for_no_rows = False

    def _true(self, request: BaseHTTPRequestHandler, body: bytes) -> Forced:
        query = self.queries[-1]
        if request.headers.get("Authorization") != self.token:
            return _told(401, "Unauthorized access")
        path = request.path.partition("?")[0]
        if path.startswith("/api/v3/configure/"):
            return self._configure(request.command, path.rpartition("/")[2], body)
        if query.get("db") not in self.databases:
            return _told(404, f"database not found: {query.get('db')}")
        if (request.command, path) == ("POST", "/api/v3/write_lp"):
            return self._write(self._lines_of(request, body))
        asked = (request.command, path, request.headers.get("Accept"))
        if asked == ("GET", "/query", "application/json") and ";" not in query["q"]:
            return self._select(query["q"])
        return _told(400, "no such address, another type than JSON, or more than one statement")

    def _configure(self, method: str, what: str, body: bytes) -> Forced:
        if method == "GET":
            return Forced(200, json.dumps([{"iox::database": name} for name in self.databases]).encode())
        asked = json.loads(body)
        if what == "database":
            self.databases.append(asked["db"])
        elif asked["table"] in self.tables:
            return _told(409, "attempted to create a resource that already exists")
        else:
            self.tables[asked["table"]] = asked["tags"]
        return Forced(200)

    def _write(self, lines: list[str]) -> Forced:
        points = [_point(line) for line in lines]
        for number, (line, point) in enumerate(zip(lines, points, strict=True), 1):
            reason = "invalid column type" if self.refuse and re.search(self.refuse, line) else ""
            if set(point.tags) - set(self.tables.setdefault(point.table, list(point.tags))):
                reason = "new tag columns cannot be added to an existing table"
            if reason:
                data = {"original_line": line, "line_number": number, "error_message": reason}
                return Forced(400, json.dumps({"error": REFUSED_AS_A_WHOLE, "data": data}).encode())
        for point in points:
            key = (point.table, tuple(sorted(point.tags.items())), point.ns)
            held = self.points.setdefault(key, point)
            held.fields.update(point.fields)
        self.lines += lines
        return Forced(204)

    def _select(self, statement: str) -> Forced:
        asked = _SELECT.fullmatch(statement)
        if asked is None:
            return _told(400, f"parsing error: {statement}")
        items, table, where, group, limit = asked.groups()
        found = [one for one in self.points.values() if one.table == table and _fits(one, where)]
        found.sort(key=lambda one: one.ns, reverse="DESC" in statement)
        names = group.split(", ") if group else []
        series = []
        for key in sorted({tuple(one.tags.get(name, "") for name in names) for one in found}):
            rows = [one for one in found if tuple(one.tags.get(name, "") for name in names) == key]
            columns, values = _answered(items, rows)
            values = values[: int(limit)] if limit else values
            if self.tags_as_columns:
                columns, values = [*columns, *names], [[*row, *key] for row in values]
            tags = {} if self.tags_as_columns else {"tags": dict(zip(names, key, strict=True))}
            if values:
                series.append({"name": table, "columns": columns, "values": values, **tags})
        if self.nothing_for_no_rows and not series:
            return Forced(200)
        return Forced(200, json.dumps({"results": [{"statement_id": 0, "series": series}]}).encode())


def _point(line: str) -> FakePoint:
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise ValueError(line)
    table, *tags = parts[1].split(",")
    fields = {name: _typed(text) for name, text in _FIELD.findall(parts[2])}
    return FakePoint(table, dict(tag.split("=", 1) for tag in tags), int(parts[3]), fields)


def _typed(text: str) -> Any:
    if text.startswith(('"', "'")):
        return text[1:-1]
    return int(text.rstrip("i")) if text.rstrip("i").lstrip("-").isdigit() else float(text)


def _fits(point: FakePoint, where: str | None) -> bool:
    compare: dict[str, Any] = {
        "=": lambda a, b: a == b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    held = {**point.fields, **point.tags, "time": point.ns}
    return all(
        name in held and compare[sign](held[name], _typed(text))
        for name, sign, text in (_CONDITION.findall(where) if where else ())
    )


def _answered(items: str, points: list[FakePoint]) -> tuple[list[str], list[list[Any]]]:
    columns, aggregated, times = ["time"], [], [0]
    plain: list[str] = []
    for call, pattern, name, cast in _ITEM.findall(items):
        if cast:
            plain.append(cast)
            continue
        every = sorted({field for one in points for field in one.fields})
        for field in [one for one in every if re.search(pattern, one)] if pattern else [name]:
            held = [one for one in points if field in one.fields]
            columns.append(f"{call}_{field}" if pattern else call)
            aggregated.append(len(held) if call == "count" else held[-1].fields[field] if held else None)
            times += [one.ns for one in held[-1:] if call == "last"]
    if not plain:
        ns = times[-1] if len(times) == 2 else 0
        return columns, [[ns, *aggregated]] if any(value is not None for value in aggregated) and points else []
    rows = [[one.ns, *({**one.fields, **one.tags}.get(name) for name in plain)] for one in points]
    return ["time", *plain], [row for row in rows if any(value is not None for value in row[1:])]


def _told(status: int, message: str) -> Forced:
    return Forced(status, json.dumps({"error": message, "data": None}).encode())
