"""`hakari view set-up`: a fresh InfluxDB becomes ours, and each room that uses it gets a token of its own.

Saying it again changes nothing that is right already. The server makes the tokens, so they are written where the
rooms' settings name them. InfluxDB's HTTP API v2: /api/v2/setup, orgs, buckets, authorizations.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hakari.errors import BadConfiguration, NotReachable, Refused
from hakari.influxdb import InfluxSettings
from hakari.log.keyfile import replace_file

ADMIN = "admin"
TOKEN_FILE = "influxdb.token"  # noqa: S105 - a file's name
TOKEN_MODE = 0o600
MAX_SECRET_CHARS = 4096
MAX_ANSWER_BYTES = 4 * 1024 * 1024
UNAUTHORIZED = 401

# Whole buckets of the organisation, not one by its id: a bucket that was deleted and made again stays readable.
RIGHTS: Mapping[str, Sequence[tuple[str, str]]] = {
    "ingest": (("read", "orgs"), ("read", "buckets"), ("write", "buckets")),
    "calc": (("read", "orgs"), ("read", "buckets"), ("write", "buckets")),
    "api": (("read", "orgs"), ("read", "buckets")),
    "grafana": (("read", "orgs"), ("read", "buckets")),
}


class InfluxRefuses(Refused):
    """InfluxDB is somebody else's, or does not do what is asked."""


class InfluxAway(NotReachable):
    """InfluxDB does not answer."""


class SecretUnusable(BadConfiguration):
    """A secret's file cannot be read or holds no secret."""


class Done(NamedTuple):
    """What was done: whether the server was fresh, whether the bucket was made, whose tokens are new."""

    fresh: bool
    bucket_made: bool
    new_tokens: list[str]


class Server(NamedTuple):
    """InfluxDB as the holder of `token` sees it."""

    url: str
    token: str
    timeout_s: float

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """The JSON that a request brings; InfluxRefuses with the server's words, InfluxAway without any."""
        request = urllib.request.Request(  # noqa: S310 - the settings allow http and https only
            self.url.rstrip("/") + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Token {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310
                content = answer.read(MAX_ANSWER_BYTES)
                return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            said = error.read(MAX_SECRET_CHARS).decode(errors="replace").strip()
            advice = "; is this the operator token of this server?" if error.code == UNAUTHORIZED else ""
            raise InfluxRefuses(
                f"InfluxDB at {self.url} refuses {method} {path}: {error.code} {said}{advice}"
            ) from error
        except (OSError, ValueError) as error:
            raise InfluxAway(f"InfluxDB at {self.url} does not answer ({error}); start it first") from error


def set_up(settings: InfluxSettings, operator: str, password: str, tokens: Path) -> Done:
    """Organisation, bucket and `{tokens}/{room}/influxdb.token` as `settings` and RIGHTS want them."""
    server = Server(settings.url, operator, settings.timeout_s)
    fresh = bool(server.ask("GET", "/api/v2/setup")["allowed"])
    if fresh:
        wanted = {"username": ADMIN, "password": password, "org": settings.org, "bucket": settings.bucket}
        server.ask("POST", "/api/v2/setup", {**wanted, "token": operator, "retentionPeriodSeconds": 0})
    org_id = _org(server, settings.org)
    bucket_made = _bucket(server, org_id, settings.bucket)
    held = server.ask("GET", f"/api/v2/authorizations?orgID={org_id}")["authorizations"]
    new = [room for room in RIGHTS if _token(server, org_id, room, held, tokens / room / TOKEN_FILE)]
    return Done(fresh, bucket_made or fresh, new)


def secret(path: Path) -> str:
    """The one line in the secret's file `path`."""
    try:
        with path.open(encoding="ascii") as file:
            text = file.read(MAX_SECRET_CHARS + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnusable(f"secret {path} cannot be read ({error}); make it with: hakari keys set-up") from error
    if not text or len(text) > MAX_SECRET_CHARS or any(char.isspace() for char in text):
        raise SecretUnusable(f"secret {path} must hold one line and nothing else")
    return text


def _org(server: Server, name: str) -> str:
    found = server.ask("GET", f"/api/v2/orgs?org={urllib.parse.quote(name)}")["orgs"]
    return str(found[0]["id"])


def _bucket(server: Server, org_id: str, name: str) -> bool:
    """Whether the bucket had to be made."""
    found = server.ask("GET", f"/api/v2/buckets?orgID={org_id}&name={urllib.parse.quote(name)}")["buckets"]
    if not found:
        server.ask("POST", "/api/v2/buckets", {"orgID": org_id, "name": name, "retentionRules": []})
    return not found


def _token(server: Server, org_id: str, room: str, held: Sequence[Mapping[str, Any]], path: Path) -> bool:
    """Whether the room's token had to be made: it is kept where it works and gives exactly the rights."""
    title = f"hakari {room}"
    own = [one for one in held if one["description"] == title]
    rights = sorted(RIGHTS[room])
    if len(own) == 1 and own[0]["status"] == "active" and _rights(own[0]) == rights and _works(server, org_id, path):
        return False
    for one in own:
        server.ask("DELETE", f"/api/v2/authorizations/{one['id']}")
    permissions = [
        {"action": action, "resource": {"type": kind, **({"id": org_id} if kind == "orgs" else {"orgID": org_id})}}
        for action, kind in rights
    ]
    made = server.ask(
        "POST", "/api/v2/authorizations", {"orgID": org_id, "description": title, "permissions": permissions}
    )
    _write(path, made["token"])
    return True


def _rights(authorization: Mapping[str, Any]) -> list[tuple[str, str]]:
    return sorted((one["action"], one["resource"]["type"]) for one in authorization["permissions"])


def _works(server: Server, org_id: str, path: Path) -> bool:
    try:
        Server(server.url, secret(path), server.timeout_s).ask("GET", f"/api/v2/buckets?orgID={org_id}&limit=1")
    except (SecretUnusable, InfluxRefuses):
        return False
    return True


def _write(path: Path, token: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, f"{token}\n".encode(), TOKEN_MODE)
