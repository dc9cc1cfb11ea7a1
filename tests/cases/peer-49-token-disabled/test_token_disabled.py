from __future__ import annotations

from contextlib import closing

import pytest

from hakari.influxdb import InfluxSettings
from hakari.store.influx import Influx
from hakari.store.view import ViewUnavailable
from tests.unit.influx_fake import TOKEN, FakeInflux

LINES = [f"m n={k}i {k}" for k in range(100)]


def opened(fake: FakeInflux, waits: list[float], token: str = TOKEN) -> closing[Influx]:
    return closing(Influx(InfluxSettings(url=fake.url, token_file="unread", timeout_s=5.0), token, sleep=waits.append))


def test_a_refused_token_pauses_and_says_what_to_do() -> None:
    with FakeInflux() as fake:
        with opened(fake, [], "another-token") as influx, pytest.raises(ViewUnavailable, match=r"401 .*token"):
            influx.write(LINES)
        assert fake.lines == []
        with opened(fake, []) as influx:
            assert influx.write(LINES) == []
        assert set(fake.lines) == set(LINES)
