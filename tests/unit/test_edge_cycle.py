"""Cycle time: what a serial line's physics and stated assumptions give, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from edge.reads.cycle import request_ms
from edge.settings import BusTable
from hakari.registers.profile import Profile
from tests.unit.edge_lines import gauge


def _ms(words: int, *, slowest: bool = False, profile: dict[str, int] | None = None, **line: Any) -> float:
    found = Profile("p", "m", "m", "s", "two-sources", [gauge(0)], **(profile or {}))  # type: ignore[arg-type]
    return request_ms(BusTable(id="b", **line), found, words, slowest=slowest)


@pytest.mark.parametrize(
    ("line", "words", "ms"),
    [
        # 10 bits a character: (13 + 2·10) characters and 2 × 3.5 of silence, 40 in all, 1.0417 ms each, and 30 ms
        ({"baud_rate": 9600}, 10, 40 * 10 / 9.6 + 30),
        ({"baud_rate": 9600, "parity": "even"}, 10, 40 * 11 / 9.6 + 30),
        ({"baud_rate": 9600, "parity": "odd", "stop_bits": 2}, 10, 40 * 12 / 9.6 + 30),
        ({"baud_rate": 1200}, 125, (13 + 250 + 7) * 10 / 1.2 + 30),
        # above 19200 baud the silence is 1.75 ms
        ({"baud_rate": 115200}, 10, 33 * 10 / 115.2 + 3.5 + 30),
    ],
)
def test_serial_line(line: dict[str, Any], words: int, ms: float) -> None:
    assert _ms(words, kind="rtu", device="/dev/ttyS0", **line) == pytest.approx(ms)


def test_through_a_serial_server_the_network_comes_on_top() -> None:
    serial = _ms(10, kind="rtu", device="/dev/ttyS0")
    assert _ms(10, kind="rtu-over-tcp", host="h") == pytest.approx(serial + 10)


def test_tcp_is_an_assumed_round_trip_whatever_the_length() -> None:
    assert _ms(1, host="h") == _ms(125, host="h") == 10


def test_what_the_profile_says() -> None:
    assert _ms(1, host="h", profile={"request_gap_ms": 50}) == 60
    assert _ms(1, host="h", profile={"answer_ms": 4}) == 4
    slow = {"answer_ms": 15_000}
    assert _ms(1, host="h", profile=slow) == 10
    assert _ms(1, host="h", profile=slow, slowest=True) == 15_000
