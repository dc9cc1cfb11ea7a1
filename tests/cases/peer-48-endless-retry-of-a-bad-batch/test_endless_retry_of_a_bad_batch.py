from __future__ import annotations

from contextlib import closing

import pytest

from hakari.influxdb import InfluxSettings
from hakari.store.influx import Influx
from hakari.store.view import ViewUnavailable
from tests.unit.influx_fake import TOKEN, FakeInflux, Forced, said

LINES = [f"m n={k}i {k}" for k in range(100)]


def opened(fake: FakeInflux, waits: list[float], token: str = TOKEN) -> closing[Influx]:
    return closing(Influx(InfluxSettings(url=fake.url, token_file="unread", timeout_s=5.0), token, sleep=waits.append))


def test_a_poisonous_line_is_asked_about_a_few_times_and_the_next_write_goes_on() -> None:
    with FakeInflux() as fake, opened(fake, []) as influx:
        fake.refuse = r"n=42i"
        influx.write(LINES)
        assert len(fake.requests) < 20
        assert influx.write(["m n=1000i 1000"]) == []
        assert fake.lines[-1] == "m n=1000i 1000"


def test_a_server_that_stays_busy_is_told_after_a_bounded_number_of_tries() -> None:
    waits: list[float] = []
    with FakeInflux() as fake, opened(fake, waits) as influx:
        fake.forced += [said(503, "busy")] * 50
        with pytest.raises(ViewUnavailable):
            influx.write(LINES)
        assert 1 < len(fake.requests) < 20


def test_a_connection_that_breaks_is_no_refusal() -> None:
    with FakeInflux() as fake, opened(fake, []) as influx:
        fake.forced.append(Forced(0))
        assert influx.write(LINES) == []
        assert set(fake.lines) == set(LINES)
