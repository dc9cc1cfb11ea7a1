from __future__ import annotations

from pathlib import Path

from hakari.mqtt import BrokerSettings
from ingest.receive.inbox import Inbox
from tests.system.forge import SUBACK, StrangeBroker, eventually

PUBLISH = bytes.fromhex((Path(__file__).parent / "publish.hex").read_text())


def test_it_reaches_the_quarantine(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x\n")
    strange = StrangeBroker(SUBACK, PUBLISH)
    inbox = Inbox(BrokerSettings(host="127.0.0.1", port=strange.port, password_file="secret"), tmp_path)
    inbox.start()
    taken = inbox.take(30.0)
    assert [(one.topic, one.payload) for one in taken] == [("hakari/v1/batch/\\xff\\xfe/x", b"payload")]
    inbox.acknowledge(taken[0])
    eventually("it is acknowledged", lambda: any(b"\x40\x02\x00\x07" in heard for heard in strange.heard))
    inbox.check()
    inbox.stop()
