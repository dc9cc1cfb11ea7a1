"""A real influxd in a folder of its own: started, set up, killed, asked, and altered as anybody could alter it."""

from __future__ import annotations

import csv
import io
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

from hakari.influxdb import InfluxSettings
from simulate.layout import free_ports
from simulate.processes import Processes

ORG = "hakari"
TOKEN = "token-of-the-tests"
PASSWORD = "password-of-the-tests"
START_LIMIT_S = 60.0
REQUEST_LIMIT_S = 60.0


class InfluxServer:
    """One influxd; leaving the context stops it. Its data stays in the folder, so that it can be started again."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._processes = Processes(folder / "logs", {**os.environ, "HOME": str(folder)})
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.stop_all()

    def start(self) -> None:
        """Starts it and returns once it answers; sets it up the first time."""
        files = {name: str(self._folder / name) for name in ("bolt", "engine", "sqlite")}
        self._processes.start(
            "influxd",
            [
                str(self._program), "run", "--bolt-path", files["bolt"], "--engine-path", files["engine"],
                "--sqlite-path", files["sqlite"], "--http-bind-address", f"127.0.0.1:{self.port}",
                "--reporting-disabled", "--log-level", "warn",
            ],
        )  # fmt: skip
        self._processes.wait_listening("influxd", "127.0.0.1", self.port, START_LIMIT_S)
        if self._ready()["allowed"]:
            body = {"username": "tests", "password": PASSWORD, "org": ORG, "bucket": "unused", "token": TOKEN}
            self.ask("POST", "/api/v2/setup", body)

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self._processes.kill("influxd")

    def stop(self) -> None:
        """SIGTERM."""
        self._processes.stop("influxd")

    def settings(self, bucket: str, folder: Path, token: str = TOKEN) -> InfluxSettings:
        """`[influxdb]` for a bucket here; the token goes into `folder`."""
        file = folder / "influxdb.token"
        file.write_text(f"{token}\n")
        return InfluxSettings(url=self.url, token_file=str(file), org=ORG, bucket=bucket)

    def table(self, bucket: str, folder: Path) -> str:
        """The same as TOML."""
        given = self.settings(bucket, folder)
        return (
            f'[influxdb]\nurl = "{given.url}"\ntoken_file = "{given.token_file}"\n'
            f'org = "{given.org}"\nbucket = "{given.bucket}"\n'
        )

    def make_bucket(self, name: str, retention_s: int = 0) -> str:
        """A bucket; its id."""
        rules = [{"type": "expire", "everySeconds": retention_s}] if retention_s else []
        body = {"orgID": self.org_id(), "name": name, "retentionRules": rules}
        return str(self.ask("POST", "/api/v2/buckets", body)["id"])

    def delete_bucket(self, name: str) -> None:
        """Deletes a bucket with all that is in it."""
        query = urllib.parse.urlencode({"org": ORG, "name": name})
        for bucket in self.ask("GET", f"/api/v2/buckets?{query}")["buckets"]:
            self.ask("DELETE", f"/api/v2/buckets/{bucket['id']}")

    def make_token(self, *rights: tuple[str, str], bucket_id: str = "") -> str:
        """A token with `rights` ("read" or "write", kind of resource), on one bucket where its id is given."""
        own = {"id": bucket_id} if bucket_id else {}
        permissions = [
            {"action": action, "resource": {"type": kind, "orgID": self.org_id(), **(own if kind == "buckets" else {})}}
            for action, kind in rights
        ]
        body = {"orgID": self.org_id(), "permissions": permissions}
        return str(self.ask("POST", "/api/v2/authorizations", body)["token"])

    def org_id(self) -> str:
        """The organisation's id."""
        return str(self.ask("GET", f"/api/v2/orgs?org={ORG}")["orgs"][0]["id"])

    def write(self, bucket: str, lines: str) -> None:
        """Writes line protocol as anybody with a token could."""
        query = urllib.parse.urlencode({"org": ORG, "bucket": bucket, "precision": "ns"})
        self._request("POST", f"/api/v2/write?{query}", lines.encode(), "text/plain; charset=utf-8")

    def delete(self, bucket: str, predicate: str, start: str, stop: str) -> None:
        """Deletes points through the API."""
        query = urllib.parse.urlencode({"org": ORG, "bucket": bucket})
        self.ask("POST", f"/api/v2/delete?{query}", {"start": start, "stop": stop, "predicate": predicate})

    def flux(self, query: str) -> list[dict[str, str]]:
        """The rows of a Flux query as annotated CSV has them."""
        body = json.dumps({"query": query, "dialect": {"header": True, "annotations": []}}).encode()
        answer = self._request("POST", f"/api/v2/query?org={ORG}", body, "application/json", "application/csv").decode()
        tables = [table for table in answer.replace("\r\n", "\n").split("\n\n") if table.strip()]
        return [row for table in tables for row in csv.DictReader(io.StringIO(table))]

    def influxql(self, bucket: str, query: str) -> list[dict[str, Any]]:
        """The series of one InfluxQL statement; times in nanoseconds."""
        form = urllib.parse.urlencode({"db": bucket, "q": query, "epoch": "ns"}).encode()
        answer = json.loads(self._request("POST", "/query", form, "application/x-www-form-urlencoded"))
        series: list[dict[str, Any]] = answer["results"][0].get("series", [])
        return series

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The JSON that a request brings, None where it brings none."""
        content = self._request(method, path, None if body is None else json.dumps(body).encode(), "application/json")
        return json.loads(content) if content else None

    def _ready(self) -> Any:
        deadline_s = time.monotonic() + START_LIMIT_S
        while True:
            try:
                return self.ask("GET", "/api/v2/setup")
            except (OSError, urllib.error.HTTPError):
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)

    def _request(
        self, method: str, path: str, body: bytes | None, kind: str, accept: str = "application/json"
    ) -> bytes:
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": kind, "Accept": accept}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=REQUEST_LIMIT_S) as answer:
            return bytes(answer.read())
