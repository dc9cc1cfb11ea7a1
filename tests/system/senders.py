"""A broker, ingest with sources over MQTT, and a client that publishes: real processes in one folder."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from hakari.names import point_id
from hakari.registers.reading import exact_value
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.opened import open_view
from hakari.wire.configuration import Assembler
from hakari.wire.envelope import inflate
from hakari.wire.leaf import decode
from simulate.layout import argv, call, free_ports
from simulate.processes import Processes

LIMIT_S = 30.0
NAMESPACE = "plant.example"
LOG = "sola-given"
METER = """interval_s = 60
[[meter]]
id = "m1"
serial = "S-1"
[[meter.point]]
name = "energy"
unit = "kWh"
kind = "counter"
"""


def eventually(what: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """What `what` gives once it gives something."""
    end_s = time.monotonic() + limit_s
    while not (found := what()):
        if time.monotonic() > end_s:
            raise AssertionError("nothing came of it in time")
        time.sleep(0.05)
    return found


class SendersBed:
    """Everything is on 127.0.0.1; the broker lets anybody do anything. `sources` is text of `[[source]]` tables."""

    def __init__(self, folder: Path, mosquitto: Path, sources: str, mappings: dict[str, str]) -> None:
        self.folder = folder
        self._mosquitto = mosquitto
        (self.port,) = free_ports(1)
        (folder / "broker.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n"
        )
        for name, text in mappings.items():
            keys, _, tables = text.partition("[[")
            (folder / name).write_text(f"{keys}{METER}[[{tables}")
        call("keys", "owner", "--out", folder / "owner.pem", "--name", f"{NAMESPACE}/owner")
        call("keys", "cosigner", "--out", folder / "ingest.pem", "--name", f"{NAMESPACE}/ingest")
        call("keys", "statement", "--out", folder / "statement.pem", "--name", f"{NAMESPACE}/statement")
        call("keys", "edge", "--out", folder / "own.pem")
        given = ("--owner", folder / "owner.pem")
        call(
            "keys", "roster", "new", folder / "roster.note", *given, "--namespace", NAMESPACE,
            "--edge", f"{LOG}={folder / 'own.pem.pub'}", "--cosigner", folder / "ingest.pem.pub",
            "--statement-key", folder / "statement.pem.pub",
        )  # fmt: skip
        call("keys", "roster", "add-source", folder / "roster.note", *given, "--edge", LOG)
        self.config = folder / "ingest.toml"
        self.config.write_text(f"""[ingest]
namespace = "{NAMESPACE}"
evidence = "evidence.db"
view = "view.db"
cosigner_name = "{NAMESPACE}/ingest"
cosigner_key_file = "ingest.pem"
owner_key = "{(folder / "owner.pem.pub").read_text().strip()}"
roster_file = "roster.note"
[broker]
host = "127.0.0.1"
port = {self.port}
[[own_log]]
id = "{LOG}"
key_file = "own.pem"
{sources}
""")
        self.processes = Processes(folder / "logs")
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="plant", protocol=MQTTProtocolVersion.MQTTv311)
        self.heard: list[tuple[str, bytes, bool]] = []
        self.client.on_message = lambda _c, _d, one: self.heard.append((one.topic, bytes(one.payload), one.retain))

    def __enter__(self) -> Self:
        self.processes.start("broker", [str(self._mosquitto), "-c", str(self.folder / "broker.conf")])
        self.processes.wait_listening("broker", "127.0.0.1", self.port)
        self.client.connect("127.0.0.1", self.port)
        self.client.subscribe("spBv1.0/#", qos=1)
        self.client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self.processes.stop_all()

    def ingest(self, sessions: int = 1) -> None:
        """Starts ingest and waits until so many sources have said that they are connected."""
        log = self.folder / "logs" / "ingest.log"
        before = log.read_text().count("as ingest-source-") if log.exists() else 0
        self.processes.start("ingest", argv("ingest", "run", "--config", self.config))
        eventually(lambda: log.read_text().count("as ingest-source-") - before >= sessions)

    def crash_at(self, point: str) -> subprocess.Popen[bytes]:
        """Starts an ingest that kills itself at `point`."""
        return subprocess.Popen(
            argv("ingest", "run", "--config", self.config), env={**os.environ, "HAKARI_CRASH": point},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Publishes; the broker has it on return where `qos` is 1."""
        self.client.publish(topic, payload, qos=qos).wait_for_publish(LIMIT_S)

    def rows(self) -> list[tuple[int, str]]:
        """(time, value) of the view's readings of m1/energy."""
        with closing(open_view(self.config, "view.db", None)) as view:
            found = list(view.read(point_id(LOG, "m1", "energy"), 0, 2**53))
        return [(row.t_ms, str(exact_value(row.type, row.raw, row.exponent))) for row in found]

    def values(self) -> list[tuple[int, str]]:
        """(time, value) of the leaves' given readings, in the order of the leaves."""
        return [(slot, value) for slot, value, _ in self.given()]

    def given(self) -> list[tuple[int, str, str]]:
        """(time, value, origin of the meter) of every given reading in the own log."""
        found: list[tuple[int, str, str]] = []
        with closing(SqliteEvidenceLog(self.folder / "evidence.db")) as evidence:
            for origin in evidence.origins():
                assembler = Assembler()
                for stored in evidence.leaves(origin, 0, evidence.head(origin).size):
                    leaf = decode(inflate(stored.deflated))
                    if leaf.configuration is not None:
                        assembler.add(leaf.configuration)
                    for sample in leaf.samples:
                        for one in sample.given:
                            meter = assembler.complete[leaf.cfg].meter(one.meter)
                            found.append((sample.slot_ms, one.value, meter.origin if meter else ""))
        return found

    def quarantined(self) -> list[str]:
        """The reasons in the quarantine, newest first."""
        with closing(SqliteEvidenceLog(self.folder / "evidence.db")) as evidence:
            return [one.reason for one in evidence.quarantined()]
