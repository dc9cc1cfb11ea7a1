from __future__ import annotations

from contextlib import closing

import pytest

from hakari.influxdb import InfluxSettings
from hakari.store.influx import Influx
from hakari.store.view import ViewUnavailable
from tests.unit.influx_fake import TOKEN, FakeInflux, said

LINES = [f"m n={k}i {k}" for k in range(100)]


def opened(fake: FakeInflux, waits: list[float], token: str = TOKEN) -> closing[Influx]:
    return closing(Influx(InfluxSettings(url=fake.url, token_file="unread", timeout_s=5.0), token, sleep=waits.append))


def test_every_line_is_stored_given_back_or_the_write_raises() -> None:
    with FakeInflux() as fake, opened(fake, []) as influx:
        fake.drop = r"n=7i"
        assert [one.at for one in influx.write(LINES)] == [7]
        assert set(fake.lines) == set(LINES) - {LINES[7]}
        fake.drop = "."
        with pytest.raises(ViewUnavailable):
            influx.write([f"m n={k}i {k}" for k in range(5000)])
        fake.drop = ""
        fake.forced += [said(500, "panic")] * 50
        with pytest.raises(ViewUnavailable):
            influx.write(LINES)
