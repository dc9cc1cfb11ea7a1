"""Other senders against the real broker and the real ingest: what they give is in the view once, as received."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from ingest.sources.sparkplug_payload import REBIRTH, decode
from simulate.layout import argv
from tests.system.senders import SendersBed, eventually
from tests.unit.sparkplug_bytes import INT64, bd_seq, metric, payload

pytestmark = pytest.mark.system

T_MS = 1_777_569_300_000
TELEGRAF = '[[source]]\nkind = "telegraf"\nname = "tele"\nlog = "sola-given"\nmapping = "t.toml"\ntopic = "tele/#"\n'
PLAIN = '[[source]]\nkind = "json"\nname = "plain"\nlog = "sola-given"\nmapping = "j.toml"\ntopic = "plain/+"\n'
SPARKPLUG = (
    '[[source]]\nkind = "sparkplug"\nname = "spark"\nlog = "sola-given"\nmapping = "s.toml"\n'
    'group = "g"\nhost_id = "hakari"\n'
)
SERIES = '[[series]]\nmeasurement = "meter"\nfield = "wh"\nmeter = "m1"\npoint = "energy"\npower_of_ten = -3\n'
JSON_MAPPING = 'time = "ts"\ntime_form = "ms"\n[[value]]\npath = "kwh"\nmeter = "m1"\npoint = "energy"\n'
METRIC = 'reorder_s = 0.3\n[[metric]]\nnode = "e1"\ndevice = "d1"\nname = "Energy"\nmeter = "m1"\npoint = "energy"\n'


def line(slot: int, wh: int) -> bytes:
    return f"meter,host=x wh={wh}i {(T_MS + slot * 60_000) * 10**6}".encode()


def test_readings_of_every_sender_are_in_the_view_once_as_received(tmp_path: Path, mosquitto: Path) -> None:
    mappings = {"t.toml": SERIES, "j.toml": JSON_MAPPING}
    with SendersBed(tmp_path, mosquitto, TELEGRAF + PLAIN, mappings) as bed:
        bed.ingest(2)
        for slot in (0, 1, 1, 0):
            bed.publish("tele/x", line(slot, 1000 + slot))
        bed.publish("tele/x", b"poison \xff")
        bed.publish("tele/x", b"other value=1 1")
        bed.publish("tele/x", b"other value=1 2")
        for slot in (2, 3, 2):
            bed.publish("plain/x", json.dumps({"ts": T_MS + slot * 60_000, "kwh": f"1.{slot:03}"}).encode())
        eventually(lambda: len(bed.rows()) == 4)
    assert bed.rows() == [(T_MS + slot * 60_000, f"1.{slot:03}") for slot in range(4)]
    assert {origin for _, _, origin in bed.given()} == {"received"}
    assert len(bed.values()) == 4
    reasons = bed.quarantined()
    assert len(reasons) == 2
    assert "series 'other' field 'value' is not mapped; said once, then counted" in reasons[0]


def test_killed_between_store_and_acknowledgement_nothing_is_there_twice(tmp_path: Path, mosquitto: Path) -> None:
    with SendersBed(tmp_path, mosquitto, TELEGRAF, {"t.toml": SERIES}) as bed:
        bed.ingest()
        bed.publish("tele/x", line(0, 1000))
        eventually(lambda: len(bed.values()) == 1)
        bed.processes.stop("ingest")
        for slot in range(1, 6):
            bed.publish("tele/x", line(slot, 1000 + slot))
        for point in ("own_log.signed", "own_log.committed", "source.stored"):
            assert bed.crash_at(point).wait(30) == -signal.SIGKILL
        bed.ingest()
        bed.publish("tele/x", line(6, 1006))
        eventually(lambda: len(bed.rows()) == 7)
        assert sorted(bed.values()) == [(T_MS + slot * 60_000, f"1.{slot:03}") for slot in range(7)]


def test_a_real_telegraf_in_both_formats(tmp_path: Path, mosquitto: Path) -> None:
    program = os.environ.get("HAKARI_BENCH_TELEGRAF")
    if not program:
        pytest.skip("set HAKARI_BENCH_TELEGRAF to a Telegraf program")
    sources = TELEGRAF + TELEGRAF.replace('"tele"', '"telejson"').replace("t.toml", "tj.toml").replace("tele/#", "tj/#")
    mappings = {"t.toml": SERIES, "tj.toml": f'format = "json"\n{SERIES}'}
    given = b"\n".join(line(slot, 1000 + slot) for slot in range(3))
    (tmp_path / "in.lp").write_bytes(given + b"\n")
    (tmp_path / "in2.lp").write_bytes(b"\n".join(line(slot, 1000 + slot) for slot in range(3, 6)) + b"\n")
    with SendersBed(tmp_path, mosquitto, sources, mappings) as bed:
        bed.ingest(2)
        for name, topic, form in (("in.lp", "tele/a", "influx"), ("in2.lp", "tj/a", "json")):
            (tmp_path / "telegraf.conf").write_text(f"""[agent]
omit_hostname = true
[[inputs.file]]
files = ["{tmp_path / name}"]
data_format = "influx"
[[outputs.mqtt]]
servers = ["tcp://127.0.0.1:{bed.port}"]
topic = "{topic}"
qos = 1
layout = "batch"
data_format = "{form}"
""")
            subprocess.run([program, "--config", str(tmp_path / "telegraf.conf"), "--once"], check=True, timeout=30)
        eventually(lambda: len(bed.rows()) == 6)
    assert [value for _, value in bed.rows()] == [f"1.{slot:03}" for slot in range(6)]
    assert bed.quarantined() == []


def states(bed: SendersBed) -> list[tuple[bool, bool]]:
    return [
        (json.loads(data)["online"], retained) for topic, data, retained in bed.heard if topic == "spBv1.0/STATE/hakari"
    ]


def test_a_sparkplug_node_is_heard_from_birth_to_death(tmp_path: Path, mosquitto: Path) -> None:
    """STATE and its will, births, data by alias, a gap that ends in a rebirth request, a death.

    tck-id-host-topic-phid-birth-message, tck-id-operational-behavior-data-commands-ncmd-rebirth-verb,
    tck-id-operational-behavior-host-application-termination.
    """
    with SendersBed(tmp_path, mosquitto, SPARKPLUG, {"s.toml": METRIC}) as bed:
        bed.ingest()
        eventually(lambda: states(bed) == [(True, False)])

        def node(verb: str, data: bytes) -> None:
            bed.publish(f"spBv1.0/g/{verb}", data, 0)

        def births(session: int) -> None:
            node("NBIRTH/e1", payload(0, bd_seq(session), t_ms=T_MS))
            node("DBIRTH/e1/d1", payload(1, metric("Energy", 100 + session, INT64, alias=3, t_ms=T_MS + session)))

        def data(seq: int, kwh: int) -> None:
            t_ms = T_MS + seq * 1000
            node("DDATA/e1/d1", payload(seq, metric("", kwh, INT64, alias=3, t_ms=t_ms, birth=False), t_ms=t_ms))

        births(0)
        for seq in (3, 2):
            data(seq, 100 + seq)
        eventually(lambda: len(bed.values()) == 3)
        data(9, 999)
        asked = eventually(lambda: [data for topic, data, _ in bed.heard if topic == "spBv1.0/g/NCMD/e1"])
        (wanted,) = decode(asked[0]).metrics
        assert (wanted.name, wanted.boolean) == (REBIRTH, True)
        births(1)
        data(2, 102)
        node("NDEATH/e1", payload(None, bd_seq(1)))
        log = tmp_path / "logs" / "ingest.log"
        eventually(lambda: "e1/d1 is STALE: the node died (NDEATH)" in log.read_text())
        bed.publish("spBv1.0/STATE/hakari", b'{"online": false, "timestamp": 1}')
        eventually(lambda: states(bed)[-1] == (True, False))
        assert sorted(bed.values()) == [(T_MS, "100"), (T_MS + 1, "101"), (T_MS + 2000, "102"), (T_MS + 3000, "103")]
        bed.processes.kill("ingest")
        eventually(lambda: states(bed)[-1] == (False, False))
        bed.ingest()
        eventually(lambda: states(bed)[-1] == (True, False))
        bed.processes.stop("ingest")
        eventually(lambda: states(bed)[-1] == (False, False))


def test_a_mapping_that_cannot_be_used_ends_ingest_with_its_sentence(tmp_path: Path, mosquitto: Path) -> None:
    with SendersBed(tmp_path, mosquitto, TELEGRAF, {"t.toml": SERIES.replace('"energy"', '"power"')}) as bed:
        ended = subprocess.run(
            argv("ingest", "run", "--config", bed.config), capture_output=True, text=True, timeout=30, check=False
        )
    assert ended.returncode == 3
    assert "t.toml: m1/power is no point that a [[meter]] declares" in ended.stderr
    assert "Traceback" not in ended.stderr
