"""A small InfluxDB that stores lines and misbehaves on request: a real HTTP server on the loopback address."""

from __future__ import annotations

import gzip
import json
import re
import ssl
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self

TOKEN = "token-of-the-fake"


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
        if request.headers.get("Authorization") != f"Token {TOKEN}":
            return said(401, "unauthorized access")
        if not request.path.startswith("/api/v2/write"):
            return said(404, "path not found")
        if len(body) > self.max_body_bytes:
            return said(413, "request too large")
        self.encodings.append(request.headers.get("Content-Encoding", ""))
        lines = (gzip.decompress(body) if self.encodings[-1] == "gzip" else body).decode().split("\n")
        for line in lines:
            if self.refuse and re.search(self.refuse, line):
                return said(400, f"unable to parse '{line}': refused")
        kept = [line for line in lines if not (self.drop and re.search(self.drop, line))]
        self.lines += kept
        if len(kept) < len(lines):
            return said(self.partial_status, f"partial write: field type conflict dropped={len(lines) - len(kept)}")
        return Forced(204)


def said(status: int, message: str, *headers: tuple[str, str]) -> Forced:
    """An error as InfluxDB words it."""
    return Forced(status, json.dumps({"code": "some code", "message": message}).encode(), headers)
