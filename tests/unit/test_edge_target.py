"""Targets on the command line: each spelling one bus, each mistake one sentence with what is allowed."""

from __future__ import annotations

import pytest

from edge.tools.target import MAX_TARGET_CHARS, TargetInvalid, is_target, parse_target, shown_target


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("tcp://10.0.0.7", "tcp", ("10.0.0.7", 502)),
        ("tcp://meter.example:1502/", "tcp", ("meter.example", 1502)),
        ("tcp://[fe80::1]:503", "tcp", ("fe80::1", 503)),
        ("rtu-over-tcp://10.0.0.8:4001", "rtu-over-tcp", ("10.0.0.8", 4001)),
    ],
)
def test_targets_on_the_network(text: str, kind: str, place: tuple[str, int]) -> None:
    bus = parse_target(text, 0.3)
    assert (bus.kind, (bus.host, bus.port), bus.timeout_s) == (kind, place, 0.3)
    assert parse_target(shown_target(bus), 0.3) == bus


def test_serial_targets() -> None:
    bus = parse_target("rtu:///dev/ttyUSB0?baud=19200&parity=even&stop=2")
    assert (bus.kind, bus.device, bus.baud_rate, bus.parity, bus.stop_bits) == ("rtu", "/dev/ttyUSB0", 19200, "even", 2)
    assert parse_target(shown_target(bus)) == bus
    bare = parse_target("rtu:///dev/ttyS1")
    assert (bare.baud_rate, bare.parity, bare.stop_bits) == (9600, "none", 1)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("tpc://10.0.0.7", "did you mean tcp://?"),
        ("http://10.0.0.7", "is not known; "),
        ("10.0.0.7", "write one such as tcp://10.0.0.7"),
        ("tcp://", "has no host"),
        ("tcp://:502", "has no host"),
        ("tcp://a b", "neither a host name nor an IP address"),
        ("tcp://10.0.0.7:99999", "cannot be read: Port out of range"),
        ("tcp://10.0.0.7:0", "`int` >= 1"),
        ("tcp://10.0.0.7:x", "cannot be read"),
        ("tcp://[::1", "cannot be read"),
        ("tcp://user:pw@10.0.0.7", "has a user"),
        ("tcp://10.0.0.7?baud=9600", "belong to rtu:// alone"),
        ("tcp://10.0.0.7/1", "more than host and port"),
        ("rtu-over-tcp://10.0.0.7", "has no port"),
        ("rtu://dev/ttyUSB0", "three strokes"),
        ("rtu://", "three strokes"),
        ("rtu:///dev/ttyUSB0?baudrate=9600", "did you mean baud?"),
        ("rtu:///dev/ttyUSB0?unit=1", "known are baud, parity, stop"),
        ("rtu:///dev/ttyUSB0?baud=9601", "baud is not one of 1200"),
        ("rtu:///dev/ttyUSB0?baud=0x10", "is not a whole number"),
        ("rtu:///dev/ttyUSB0?baud=9600&baud=9600", "baud is given twice"),
        ("rtu:///dev/ttyUSB0?parity=mark", "parity is not one of none, even or odd"),
        ("rtu:///dev/ttyUSB0?stop=3", "stop is not one of 1 or 2"),
        ("rtu:///dev/ttyUSB0?baud", "is not key=value"),
        ("tcp://" + "a" * MAX_TARGET_CHARS, "limit 500"),
    ],
)
def test_what_is_no_target_is_refused_in_one_sentence(text: str, part: str) -> None:
    with pytest.raises(TargetInvalid) as caught:
        parse_target(text)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_is_no_target() -> None:
    assert is_target("tcp://10.0.0.7")
    assert not is_target("edge.toml")
