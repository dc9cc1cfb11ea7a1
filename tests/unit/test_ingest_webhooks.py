"""Webhooks as the Standard Webhooks say, against a real receiver: signed, in order, at least once, never in the way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ingest.watch import alarm_store, webhooks
from ingest.watch.alarm_settings import WebhookSecretUnusable, WebhookTable
from ingest.watch.alarm_store import AlarmStore, Message
from ingest.watch.alarms import Alarm, Alarms, Change, Subject
from ingest.watch.webhooks import MAX_TRIES, SecretInvalid, Sender, key_of, messages, signature

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
KEY = bytes(range(32))


class Receiver:
    """An HTTP server that answers with the next of `answers`, then 204, and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
                code = receiver.answers.pop(0) if receiver.answers else 204
                self.send_response(code)
                if code == 302:
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AlarmStore]:
    with closing(AlarmStore(tmp_path / "alarms.db")) as made:
        yield made


def change(k: int, *, cleared: bool = False) -> Change:
    return Change(Alarm(Subject("meter-silent", f"a-e1/m{k}"), "limit 900 s", 0, 60_000 * k, id=k), 60_000 * k, cleared)


def owe(store: AlarmStore, told: list[Message], changes: list[Change] | None = None) -> None:
    store.save({}, Alarms(), changes or [change(1)], told)


def eventually(ready: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of its reference libraries."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%", "whsec_" + "A" * 8, SECRET.removeprefix("whsec_")])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(SecretInvalid, match="whsec_"):
        key_of(secret)


def test_a_secret_file(tmp_path: Path) -> None:
    hook = WebhookTable("http://a", "secret")
    with pytest.raises(WebhookSecretUnusable, match="cannot be read"):
        hook.secret(tmp_path / "ingest.toml")
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "secret").chmod(0o640)
    with pytest.raises(WebhookSecretUnusable, match="mode 0640; run: chmod 600"):
        hook.secret(tmp_path / "ingest.toml")
    (tmp_path / "secret").chmod(0o600)
    assert hook.secret(tmp_path / "ingest.toml") == SECRET
    (tmp_path / "secret").write_text("x" * 1000)
    with pytest.raises(WebhookSecretUnusable, match="limit 400"):
        hook.secret(tmp_path / "ingest.toml")


def test_an_alarm_arrives_signed_whole_and_once(receiver: Receiver, store: AlarmStore, tmp_path: Path) -> None:
    changes = [change(1), change(1, cleared=True)]
    owe(store, messages("plant.example", {receiver.url: "ja"}, changes), changes)
    sender = Sender(tmp_path / "alarms.db", {receiver.url: KEY})
    sender.start()
    eventually(lambda: store.owed_count() == 0)
    sender.stop()
    assert len(receiver.got) == 2
    for (headers, body), one in zip(receiver.got, changes, strict=True):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
        told = json.loads(body)
        assert told["type"] == ("alarm.cleared" if one.cleared else "alarm.raised")
        assert (told["data"]["edge"], told["data"]["meter"], told["data"]["severity"]) == ("a-e1", "m1", "warning")
        assert "計器から良好な測定値が得られません" in told["data"]["sentence"]
    assert receiver.got[0][0]["webhook-id"] != receiver.got[1][0]["webhook-id"]


def test_what_is_not_taken_comes_again_under_its_id_and_in_order(
    receiver: Receiver, store: AlarmStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(webhooks, "IDLE_S", 0.01)
    receiver.answers = [500, 302, 429]
    owe(store, messages("plant.example", {receiver.url: "en"}, [change(1), change(2)]))
    sender = Sender(tmp_path / "alarms.db", {receiver.url: KEY})
    sender.start()
    eventually(lambda: store.owed_count() == 0)
    sender.stop()
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert len(set(ids[:4])) == 1, "a redirect is not followed, and the first is taken before the second"
    assert len(ids) == 5
    assert ids[4] != ids[0]


def test_a_dead_receiver_keeps_no_other_waiting_and_a_restart_loses_nothing(
    receiver: Receiver, store: AlarmStore, tmp_path: Path
) -> None:
    dead = "http://127.0.0.1:9/"
    owe(store, messages("plant.example", {dead: "en", receiver.url: "en"}, [change(1), change(2)]))
    sender = Sender(tmp_path / "alarms.db", {dead: KEY, receiver.url: KEY})
    sender.start()
    eventually(lambda: store.owed_count() == 2)
    sender.stop()
    assert len(receiver.got) == 2
    with closing(AlarmStore(tmp_path / "alarms.db")) as again:
        assert [one.url for one in again.owed(time.time() + 3600, 10)] == [dead], "the oldest of each receiver"
        assert again.owed_count() == 2


def test_a_message_nobody_takes_is_given_up_and_counted(store: AlarmStore, tmp_path: Path) -> None:
    owe(store, [Message("http://127.0.0.1:9/", "a", "{}"), Message("http://gone", "b", "{}")])
    wall_s = [0.0]
    sender = Sender(tmp_path / "alarms.db", {"http://127.0.0.1:9/": KEY}, lambda: wall_s[0])
    for _ in range(MAX_TRIES + 1):
        sender.round(store)
        wall_s[0] += webhooks.MAX_RETRY_S
    assert (store.owed_count(), store.dropped) == (0, 2)
    assert wall_s[0] > 3 * 86400


def test_what_is_owed_is_bounded(store: AlarmStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm_store, "MAX_OWED", 10)
    for k in range(3):
        owe(store, [Message("http://a", f"{k} {n}", "{}") for n in range(6)])
    assert (store.owed_count(), store.dropped) == (10, 8)
    assert store.owed(0.0, 10)[0].message_id == "1 2", "the newest stay"


def test_two_workers_that_say_the_same_in_one_minute_say_it_under_one_id() -> None:
    def told(kind: str, at_ms: int, worker: str) -> str:
        alarm = Alarm(Subject(kind, ""), "", at_ms, at_ms, id=1)
        change = Change(alarm, at_ms, cleared=False)
        return messages("plant.example", {"http://a": "en"}, [change], worker)[0].message_id

    assert told("disk", 60_001, "00-7f") == told("disk", 119_999, "80-ff") != told("disk", 120_000, "80-ff")
    assert told("view-behind", 60_001, "00-7f") != told("view-behind", 60_001, "80-ff")
