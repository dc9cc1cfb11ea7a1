"""A Grafana of exactly the routes that `hakari grafana` uses, over real HTTP, with state: what its API documents.

https://grafana.com/docs/grafana/latest/developers/http_api/ (data sources, folders, dashboards, search, alerting)
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
Answer = tuple[int, object]
TOKEN = "glsa_of_the_tests"


class FakeGrafana:
    """One organisation; `version` and `denied` (a status for every request) as a test wants them."""

    def __init__(self, version: str = "12.2.0", prefix: str = "") -> None:
        self.version = version
        self.prefix = prefix
        self.denied = 0
        self.sources: dict[str, Json] = {}
        self.folders: dict[str, Json] = {}
        self.dashboards: dict[str, Json] = {}
        self.rules: dict[str, Json] = {}
        self.sick: set[str] = set()
        self.writes: list[str] = []
        self.fail_after: int | None = None
        self.body: bytes | None = None
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                code, answer = fake.answer(self.command, self.path, body, known=known, headers=dict(self.headers))
                content = fake.body if fake.body is not None else json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "text/html" if fake.body is not None else "application/json")
                self.send_header("Content-Length", str(len(content) if code != 204 else 0))
                self.end_headers()
                if code != 204:
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}{prefix}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, body: Any, *, known: bool, headers: Json) -> Answer:
        parts = urlsplit(path)
        if not parts.path.startswith(f"{self.prefix}/api/"):
            return 404, {"message": "Not found"}
        if not known:
            return 401, {"message": "Invalid API key"}
        if self.denied:
            return self.denied, {"message": "no"}
        if method != "GET":
            if self.fail_after is not None and len(self.writes) >= self.fail_after:
                return 500, {"message": "database is locked"}
            self.writes.append(f"{method} {parts.path.removeprefix(self.prefix)}")
        route = parts.path.removeprefix(f"{self.prefix}/api")
        for pattern, handle in ROUTES:
            found = re.fullmatch(pattern, f"{method} {route}")
            if found:
                return handle(self, *found.groups(), body=body, query=parse_qs(parts.query), headers=headers)
        return 404, {"message": "Not found"}

    def settings(self, **_: Any) -> Answer:
        return 200, {"buildInfo": {"version": self.version, "edition": "Open Source"}}

    # data sources

    def get_source(self, uid: str, **_: Any) -> Answer:
        source = self.sources.get(uid)
        if source is None:
            return 404, {"message": "Data source not found"}
        shown = {key: value for key, value in source.items() if key != "secureJsonData"}
        return 200, {**shown, "readOnly": False, "secureJsonFields": dict.fromkeys(source["secureJsonData"], True)}

    def add_source(self, *, body: Json, **_: Any) -> Answer:
        if body["uid"] in self.sources or any(one["name"] == body["name"] for one in self.sources.values()):
            return 409, {"message": "data source with the same name already exists"}
        self.sources[body["uid"]] = {**body, "id": len(self.sources) + 1, "orgId": 1, "version": 1}
        return 200, {"message": "Datasource added"}

    def put_source(self, uid: str, *, body: Json, **_: Any) -> Answer:
        if uid not in self.sources:
            return 404, {"message": "Data source not found"}
        self.sources[uid] |= body
        return 200, {"message": "Datasource updated"}

    def source_health(self, uid: str, **_: Any) -> Answer:
        if uid not in self.sources:
            return 404, {"message": "Data source not found"}
        if uid in self.sick:
            return 400, {"message": "error reading buckets: unauthorized access", "status": "ERROR"}
        return 200, {"message": "datasource is working. 1 buckets found", "status": "OK"}

    # folders and dashboards

    def get_folder(self, uid: str, **_: Any) -> Answer:
        folder = self.folders.get(uid)
        return (404, {"message": "folder not found"}) if folder is None else (200, folder)

    def add_folder(self, *, body: Json, **_: Any) -> Answer:
        if body["uid"] in self.folders:
            return 409, {"message": "a folder with that UID already exists"}
        self.folders[body["uid"]] = {"uid": body["uid"], "title": body["title"], "version": 1}
        return 200, self.folders[body["uid"]]

    def get_dashboard(self, uid: str, **_: Any) -> Answer:
        found = self.dashboards.get(uid)
        return (404, {"message": "Dashboard not found"}) if found is None else (200, deepcopy(found))

    def put_dashboard(self, *, body: Json, **_: Any) -> Answer:
        board, folder = body["dashboard"], body.get("folderUid", "")
        if folder and folder not in self.folders:
            return 400, {"message": "folder not found"}
        there = self.dashboards.get(board["uid"])
        if there is not None and not body.get("overwrite") and board.get("version") != there["dashboard"]["version"]:
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        number = 1 if there is None else there["dashboard"]["version"] + 1
        # A newer Grafana raises the schema, fills in defaults of its own and drops others.
        stored = {**deepcopy(board), "id": 7, "version": number, "schemaVersion": 42, "preload": False}
        del stored["liveNow"], stored["weekStart"]
        self.dashboards[board["uid"]] = {"dashboard": stored, "meta": {"folderUid": folder, "slug": board["uid"]}}
        return 200, {"uid": board["uid"], "version": number, "status": "success"}

    def drop_dashboard(self, uid: str, **_: Any) -> Answer:
        return (200, {"title": uid}) if self.dashboards.pop(uid, None) else (404, {"message": "Dashboard not found"})

    def search(self, *, query: dict[str, list[str]], **_: Any) -> Answer:
        found = []
        for uid, held in self.dashboards.items():
            tags = held["dashboard"].get("tags", [])
            inside = held["meta"]["folderUid"] in query.get("folderUIDs", [held["meta"]["folderUid"]])
            if inside and set(query.get("tag", [])) <= set(tags):
                found.append({"uid": uid, "title": held["dashboard"]["title"], "tags": tags, "type": "dash-db"})
        return 200, found

    # alert rules

    def get_rules(self, **_: Any) -> Answer:
        return 200, list(self.rules.values())

    def get_rule(self, uid: str, **_: Any) -> Answer:
        rule = self.rules.get(uid)
        return (404, {"message": "alert rule not found"}) if rule is None else (200, rule)

    def add_rule(self, *, body: Json, headers: Json, **_: Any) -> Answer:
        if body["folderUID"] not in self.folders:
            return 400, {"message": "invalid alert rule: folder does not exist"}
        if body["uid"] in self.rules:
            return 409, {"message": "a conflicting alert rule is found"}
        self._keep(body, headers)
        return 201, body

    def put_rule(self, uid: str, *, body: Json, headers: Json, **_: Any) -> Answer:
        if uid not in self.rules:
            return 404, {"message": "alert rule not found"}
        self._keep(body, headers)
        return 200, body

    def _keep(self, body: Json, headers: Json) -> None:
        provenance = "" if headers.get("X-Disable-Provenance") == "true" else "api"
        self.rules[body["uid"]] = {**deepcopy(body), "id": 1, "orgID": 1, "provenance": provenance}

    def drop_rule(self, uid: str, **_: Any) -> Answer:
        self.rules.pop(uid, None)
        return 204, None


F = FakeGrafana
ROUTES: tuple[tuple[str, Callable[..., Answer]], ...] = (
    (r"GET /frontend/settings", F.settings),
    (r"GET /datasources/uid/([^/]+)", F.get_source),
    (r"POST /datasources", F.add_source),
    (r"PUT /datasources/uid/([^/]+)", F.put_source),
    (r"GET /datasources/uid/([^/]+)/health", F.source_health),
    (r"GET /folders/([^/]+)", F.get_folder),
    (r"POST /folders", F.add_folder),
    (r"GET /dashboards/uid/([^/]+)", F.get_dashboard),
    (r"POST /dashboards/db", F.put_dashboard),
    (r"DELETE /dashboards/uid/([^/]+)", F.drop_dashboard),
    (r"GET /search", F.search),
    (r"GET /v1/provisioning/alert-rules", F.get_rules),
    (r"GET /v1/provisioning/alert-rules/([^/]+)", F.get_rule),
    (r"POST /v1/provisioning/alert-rules", F.add_rule),
    (r"PUT /v1/provisioning/alert-rules/([^/]+)", F.put_rule),
    (r"DELETE /v1/provisioning/alert-rules/([^/]+)", F.drop_rule),
)
