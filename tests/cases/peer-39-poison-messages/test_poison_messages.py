from pathlib import Path

import pytest

from tests.system.senders import SendersBed, eventually

POISON = 1500
SOURCE = '[[source]]\nkind = "json"\nname = "plain"\nlog = "sola-given"\nmapping = "j.toml"\ntopic = "plain/+"\n'
MAPPING = 'time = "ts"\ntime_form = "ms"\n[[value]]\npath = "kwh"\nmeter = "m1"\npoint = "energy"\n'


@pytest.mark.system
def test_more_poison_than_a_consumer_has_places_does_not_stop_the_readings(tmp_path: Path, mosquitto: Path) -> None:
    with SendersBed(tmp_path, mosquitto, SOURCE, {"j.toml": MAPPING}) as bed:
        bed.ingest()
        for _ in range(POISON):
            bed.client.publish("plain/x", b'{"ts": NaN', qos=1)
        bed.publish("plain/x", b'{"ts": 1777569300000, "kwh": 1.5}')
        eventually(lambda: bed.rows() == [(1777569300000, "1.5")])
        assert "NaN is not a number" in bed.quarantined()[0]
        bed.processes.stop("ingest")
        said = (tmp_path / "logs" / "ingest.log").read_text()
        assert f"'refused': {POISON}" in said
        # Nothing is left unacknowledged at the broker: nothing comes again.
        bed.ingest()
        bed.publish("plain/x", b'{"ts": 1777569360000, "kwh": 1.6}')
        eventually(lambda: len(bed.rows()) == 2)
        bed.processes.stop("ingest")
        last = (tmp_path / "logs" / "ingest.log").read_text().splitlines()[-1]
        assert "'messages': 1," in last
