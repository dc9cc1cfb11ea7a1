"""A site with TLS: an authority, Mosquitto as `hakari keys authority broker` writes it, and whoever connects to it."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hakari import pki
from hakari.cli.authority import AuthorityFolder
from hakari.cli.root import main
from hakari.log.keyfile import PRIVATE_MODE, write_new
from simulate.layout import free_ports

OWNER = "plant.example/owner"
WAIT_S = 20.0
BUS = '\n[[bus]]\nid = "line"\nhost = "127.0.0.1"\nport = 1\ntimeout_s = 0.2\n'
METER = '[[meter]]\nid = "heat"\nbus = "line"\nunit = 1\nprofile = "schneider-iem3155"\n'


def eventually(what: str, true: Callable[[], object], limit_s: float = WAIT_S) -> None:
    """Returns once `true` is; fails when it is not in time."""
    until = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < until, f"not within {limit_s:g} s: {what}"
        time.sleep(0.05)


def hakari(*argv: object) -> None:
    """The command, which must end with 0."""
    assert main([str(one) for one in argv]) == 0, argv


class Secured:
    """The site's folder: `owner.pem`, `roster.note`, `ca/`, `broker/`; leaving the context stops what it started."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder, self._program = folder, program
        self.port = free_ports(1)[0]
        self._broker: subprocess.Popen[bytes] | None = None
        self._rooms: list[subprocess.Popen[bytes]] = []
        f = folder
        hakari("keys", "owner", "--out", f / "owner.pem", "--name", OWNER)
        hakari("keys", "cosigner", "--out", f / "ingest.pem", "--name", "plant.example/ingest")
        hakari("keys", "roster", "new", f / "roster.note", "--owner", f / "owner.pem", "--namespace", "plant.example",
               "--cosigner", f / "ingest.pem.pub")  # fmt: skip
        hakari("keys", "authority", "new", f / "ca", "--name", "plant.example")
        hakari("keys", "authority", "broker", f / "ca", "--host", "127.0.0.1", "--port", self.port,
               "--out", f / "broker", "--sender", "logger-1=loggers/logger-1/#")  # fmt: skip
        if os.getuid() == 0:  # else it becomes a user who may not read what is ours
            with (f / "broker" / "mosquitto.conf").open("a") as file:
                file.write("user root\n")

    def __enter__(self) -> Self:
        self.start_broker()
        return self

    def __exit__(self, *_: object) -> None:
        for room in self._rooms:
            room.kill()
            room.wait()
        self.stop_broker()

    def start_broker(self) -> None:
        """Mosquitto, ready for connections."""
        with (self.folder / "broker.log").open("ab") as log:
            self._broker = subprocess.Popen(
                [str(self._program), "-c", "mosquitto.conf"], cwd=self.folder / "broker", stdout=log, stderr=log
            )
        eventually("the broker listens", self._listens)

    def stop_broker(self) -> None:
        """Ends it, with every connection."""
        if self._broker is not None:
            self._broker.terminate()
            self._broker.wait()

    def reload_broker(self) -> None:
        """What an operator says to it after a change."""
        assert self._broker is not None
        self._broker.send_signal(signal.SIGHUP)

    def certificate(self, name: str, *, days: float = 1.0, ca: str = "ca") -> tuple[Path, Path]:
        """Certificate and key files of a client; `days` may be less than none, for one that has ended."""
        path = self.folder / f"{name}.{ca}.{days}.pem"
        key_path = path.with_suffix(".key")
        if not path.exists():
            key = pki.new_key()
            with AuthorityFolder(self.folder / ca) as opened:
                issued_at = datetime.now(UTC) if days > 0 else datetime.now(UTC) - 30 * pki.SLACK
                path.write_bytes(opened.issue_client(key.public_key(), name, issued_at, abs(days)))
            write_new(key_path, pki.private_pem(key), PRIVATE_MODE)
        return path, key_path

    def enrol(self, edge: str) -> Path:
        """The folder of an edge that was let in by invitation, with a meter that does not answer."""
        folder = self.folder / edge
        folder.mkdir()
        invited = subprocess.run(
            [sys.executable, "-m", "hakari", "keys", "invite", "--authority", str(self.folder / "ca"), "--edge", edge],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        code = invited.stdout.splitlines()[0]
        asked, reply = folder / "request", folder / "reply"
        hakari("edge", "enrol", "--edge", edge, "--code", code, "--folder", folder, "--request", asked)
        hakari("keys", "admit", asked, "--authority", self.folder / "ca", "--roster", self.folder / "roster.note",
               "--owner", self.folder / "owner.pem", "--reply", reply,
               "--broker", f"127.0.0.1:{self.port}")  # fmt: skip
        hakari("edge", "enrol", "--reply", reply, "--folder", folder)
        settings = folder / "edge.toml"
        text = settings.read_text().replace("interval_s = 900", "interval_s = 1")
        settings.write_text(text + BUS + METER)
        return folder

    def start_room(self, *argv: object, log: str) -> subprocess.Popen[bytes]:
        """A room as a process; what it says goes into the file `log`."""
        with (self.folder / log).open("ab") as file:
            room = subprocess.Popen([sys.executable, "-m", "hakari", *map(str, argv)], stdout=file, stderr=file)
        self._rooms.append(room)
        return room

    def _listens(self) -> bool:
        assert self._broker is not None
        assert self._broker.poll() is None, (self.folder / "broker.log").read_text()
        return " running" in (self.folder / "broker.log").read_text().rsplit("mosquitto version", 1)[-1]


class Client:
    """One connection with a certificate, whatever client id it claims; keeps what it hears."""

    def __init__(self, site: Secured, files: tuple[Path, Path] | None, client_id: str = "x", ca: str = "ca") -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.lost = self.connected = False
        self.done = threading.Event()
        self._answered = threading.Event()
        context = ssl.create_default_context(cafile=str(site.folder / ca / "ca.pem"))
        if files is not None:
            context.load_cert_chain(*files)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
        self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = lambda _c, _d, message: self.heard.append((message.topic, bytes(message.payload)))
        self._client.on_publish = self._client.on_subscribe = lambda *_: self._answered.set()
        try:
            self._client.connect("127.0.0.1", site.port)
        except (OSError, ssl.SSLError):
            self.lost = True
            self.done.set()
            return
        self._client.loop_start()
        assert self.done.wait(WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> None:
        """Publishes, QoS 1; the broker has judged it when this returns, and may have ended the connection for it."""
        self._answered.clear()
        self._client.publish(topic, payload, qos=1)
        assert self._answered.wait(WAIT_S)

    def subscribe(self, topic: str) -> None:
        """Subscribes, QoS 1; the broker has answered when this returns."""
        self._answered.clear()
        self._client.subscribe(topic, qos=1)
        assert self._answered.wait(WAIT_S)

    def _on_connect(self, _c: object, _d: object, _f: object, reason: object, _p: object) -> None:
        self.connected = not getattr(reason, "is_failure", True)
        self.done.set()

    def _on_disconnect(self, *_: object) -> None:
        self.lost = True
        self.done.set()
        self._answered.set()
