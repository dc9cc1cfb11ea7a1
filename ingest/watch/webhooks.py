"""Sending alarms to webhooks as the Standard Webhooks specification says, in a thread of its own.

Guaranteed: at least once, in the order of the alarms of each receiver, signed by its secret; nothing here delays
ingest. A receiver that does not answer with 2xx is asked again, ever slower; after three days a message is given up.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from email.message import Message as Headers
from pathlib import Path
from typing import IO

from hakari.errors import BadConfiguration
from hakari.logs import guard
from hakari.period import time_text
from ingest.supervised import Supervised
from ingest.watch.alarm_store import AlarmStore, Message, Owed
from ingest.watch.alarms import KINDS, Change, sentence

OF_SHARDS = ("view-behind",)
MINUTE_MS = 60_000
PREFIX = "whsec_"
LEAST_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
TIMEOUT_S = 15.0
FIRST_RETRY_S = 5.0
MAX_RETRY_S = 3600.0
MAX_TRIES = 80  # about three days
IDLE_S = 1.0
STOP_LIMIT_S = 3.0
MAX_ANSWER_BYTES = 65536

_log = logging.getLogger("hakari.ingest.webhooks")


class SecretInvalid(BadConfiguration):
    """A webhook's secret is not `whsec_` and base64 of 24 to 64 bytes."""


def key_of(secret: str) -> bytes:
    """The bytes of a secret as it is handed out; SecretInvalid otherwise."""
    try:
        key = base64.b64decode(guard(secret).removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise SecretInvalid(f"webhook secret is not base64 ({error}); it is {PREFIX} and base64") from error
    if not secret.startswith(PREFIX) or not LEAST_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise SecretInvalid(
            f"webhook secret must be {PREFIX} and base64 of {LEAST_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes"
        )
    return key


def signature(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: v1, HMAC-SHA256 over id, time and body."""
    digest = hmac.new(key, f"{message_id}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def messages(
    namespace: str, receivers: Mapping[str, str], changes: Sequence[Change], worker: str = ""
) -> list[Message]:
    """What is to be told of `changes` to each of `receivers` (language by URL); `worker` are the shards of this one."""
    return [
        Message(url, _message_id(namespace, change, worker), _body(change, language))
        for change in changes
        for url, language in receivers.items()
    ]


def _message_id(namespace: str, change: Change, worker: str) -> str:
    """The same for every try, and from every worker that says the same in the same minute.

    What is about no edge but raised by each worker for its own shards (`view-behind`) is another alarm for each.
    """
    alarm = change.alarm
    minute = (change.at_ms if alarm.raised_ms is None else alarm.raised_ms) // MINUTE_MS
    of = worker if alarm.subject.kind in OF_SHARDS else alarm.subject.name
    named = f"{namespace} {alarm.subject.kind} {of} {minute} {change.cleared}"
    return f"msg_{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def _body(change: Change, language: str) -> str:
    alarm = change.alarm
    data = {
        "id": alarm.id,
        "kind": alarm.subject.kind,
        "severity": KINDS[alarm.subject.kind].severity,
        "edge": alarm.subject.edge_id,
        "meter": alarm.subject.meter,
        "subject": alarm.subject.name,
        "detail": alarm.detail,
        "sentence": sentence(alarm, language),
        "raised": time_text(change.at_ms if alarm.raised_ms is None else alarm.raised_ms),
        "cleared": time_text(change.at_ms) if change.cleared else None,
    }
    kind = "alarm.cleared" if change.cleared else "alarm.raised"
    return json.dumps({"type": kind, "timestamp": time_text(change.at_ms), "data": data}, ensure_ascii=False)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signed message goes where the settings say, or nowhere."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Headers, newurl: str
    ) -> None:
        """Follows none."""
        del req, fp, code, msg, headers, newurl


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def send(url: str, key: bytes, one: Owed, now_s: int) -> str:
    """Sends a message; "" when the receiver took it, else why it did not."""
    body = one.body.encode()
    headers = {
        "content-type": "application/json",
        "user-agent": "hakari",
        "webhook-id": one.message_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": signature(key, one.message_id, now_s, body),
    }
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - settings allow http(s) alone
    try:
        with _opener.open(request, timeout=TIMEOUT_S) as answer:
            answer.read(MAX_ANSWER_BYTES)
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return f"it answers {error.code}"
    except (OSError, ValueError) as error:
        return f"it gives no answer ({getattr(error, 'reason', error)})"
    except http.client.HTTPException as error:
        return f"it answers something that is not HTTP ({type(error).__name__})"


class Sender:
    """A thread that sends what the file `path` owes; `keys` by URL, `wall_s` tells the time since 1970."""

    def __init__(self, path: Path, keys: Mapping[str, bytes], wall_s: Callable[[], float] = time.time) -> None:
        self._path = path
        self._keys = keys
        self._wall_s = wall_s
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = Supervised("webhooks", self._run)
        self._refused: set[str] = set()

    def start(self) -> None:
        """Begins with what is owed."""
        self._thread.start()

    def told(self) -> None:
        """There may be something new. Raises what ended the thread, if anything did."""
        self._thread.check()
        self._wake.set()

    def stop(self) -> None:
        """Ends after the request that is under way; what is owed stays in the file."""
        self._stopping.set()
        self._wake.set()
        self._thread.ended(STOP_LIMIT_S)

    def _run(self) -> None:
        with closing(AlarmStore(self._path)) as store:
            while not self._stopping.is_set():
                if not self.round(store):
                    self._wake.wait(IDLE_S)
                    self._wake.clear()

    def round(self, store: AlarmStore) -> int:
        """Tries each receiver's next message whose time has come; how many were taken."""
        taken = 0
        for one in store.owed(self._wall_s(), limit=len(self._keys) + 1):
            if self._stopping.is_set():
                break
            key = self._keys.get(one.url)
            if key is None or one.tries >= MAX_TRIES:
                _log.error(
                    "an alarm for %s is given up: %s", one.url, "not configured any more" if key is None else "tries"
                )
                store.give_up(one)
                continue
            why = send(one.url, key, one, int(self._wall_s()))
            if not why:
                store.delivered(one)
                self._refused.discard(one.url)
                taken += 1
                continue
            store.again(one, self._wall_s() + min(FIRST_RETRY_S * 2 ** min(one.tries, 20), MAX_RETRY_S))
            if one.url not in self._refused:
                self._refused.add(one.url)
                _log.warning("webhook %s takes no alarm, and is tried again: %s", one.url, why)
        return taken
