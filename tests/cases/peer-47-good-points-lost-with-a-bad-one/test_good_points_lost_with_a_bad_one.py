from __future__ import annotations

from contextlib import closing

from hakari.influxdb import InfluxSettings
from hakari.store.influx import Influx
from tests.unit.influx_fake import TOKEN, FakeInflux

LINES = [f"m n={k}i {k}" for k in range(100)]


def opened(fake: FakeInflux, waits: list[float], token: str = TOKEN) -> closing[Influx]:
    return closing(Influx(InfluxSettings(url=fake.url, token_file="unread", timeout_s=5.0), token, sleep=waits.append))


def test_one_bad_line_costs_no_other() -> None:
    with FakeInflux() as fake, opened(fake, []) as influx:
        fake.refuse = r"n=42i"
        offenders = influx.write(LINES)
        assert [one.at for one in offenders] == [42]
        assert "unable to parse 'm n=42i 42'" in offenders[0].message
        assert set(fake.lines) == set(LINES) - {LINES[42]}
