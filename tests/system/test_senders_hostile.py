"""A real ingest with hostile senders: what would have ended it at each start leaves it at work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.system.senders import SendersBed, eventually
from tests.system.test_senders import JSON_MAPPING, METRIC, PLAIN, SPARKPLUG, T_MS
from tests.unit.own_log_world import TABLE
from tests.unit.sparkplug_bytes import FLOAT, bd_seq, metric, payload

pytestmark = pytest.mark.system

LARGEST = 3.4028234663852886e38
FOLDER = """[[source]]
kind = "folder"
name = "logger"
log = "sola-given"
mapping = "table.toml"
folder = "drop"
still_s = 1
"""


def test_neither_a_number_nor_a_file_ends_ingest(tmp_path: Path, mosquitto: Path) -> None:
    mappings = {"s.toml": METRIC.replace('device = "d1"\n', ""), "j.toml": JSON_MAPPING}
    (tmp_path / "table.toml").write_text(TABLE)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    drop = tmp_path / "drop"
    (drop / "refused").mkdir(parents=True)
    (drop / "refused" / "a.csv.why.txt").symlink_to(victim)
    (drop / "a.csv").write_bytes(b"\n" * 32 * 1024 * 1024)
    os.utime(drop / "a.csv", (1, 1))
    with SendersBed(tmp_path, mosquitto, SPARKPLUG + PLAIN + FOLDER, mappings) as bed:
        bed.ingest(2)
        birth = payload(0, bd_seq(0), metric("Energy", LARGEST, FLOAT, t_ms=T_MS), t_ms=T_MS)
        bed.publish("spBv1.0/g/NBIRTH/e1", birth)
        eventually(lambda: any("64 bits" in one for one in bed.quarantined()))
        eventually(lambda: any("lines" in one for one in bed.quarantined()))
        bed.publish("plain/x", b'{"ts": %d, "kwh": 5}' % T_MS)
        eventually(lambda: bed.values() == [(T_MS, "5")])
    assert victim.read_text() == "mine"
    assert not (drop / "a.csv").exists()
