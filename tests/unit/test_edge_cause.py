"""Why a meter does not answer: each cause told apart, each with what to do."""

from __future__ import annotations

import os
import pty
import socket
from pathlib import Path

import pytest

from edge.tools.cause import line_problem, meaning_of, why_silent
from edge.tools.target import parse_target


def test_a_refused_connection() -> None:
    assert "the host refuses the connection: nothing listens" in line_problem(parse_target("tcp://127.0.0.1:1"))


def test_a_name_that_nobody_knows() -> None:
    assert "the name is not known" in line_problem(parse_target("tcp://meter.invalid"))


def test_a_host_that_takes_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        bus = parse_target(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        assert line_problem(bus) == ""
        assert "the connection opens and unit 3 stays silent (timeout)" in why_silent("timeout", bus, 3)


def test_serial_lines(tmp_path: Path) -> None:
    assert "there is no such device" in line_problem(parse_target(f"rtu://{tmp_path}/none"))
    (tmp_path / "file").touch()
    assert "it is no serial line" in line_problem(parse_target(f"rtu://{tmp_path}/file"))
    ours, theirs = pty.openpty()
    try:
        assert line_problem(parse_target(f"rtu://{os.ttyname(theirs)}")) == ""
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("target", "error", "part"),
    [
        (
            "tcp://h",
            "exception 11 (gateway target device failed to respond)",
            "the gateway answers and says that unit 3",
        ),
        ("tcp://h", "exception 10 (gateway path unavailable)", "RS-485 wires"),
        ("tcp://h:1502", "timeout", "whether it speaks rtu-over-tcp (try rtu-over-tcp://h:1502)"),
        ("rtu-over-tcp://h:1502", "timeout", "try tcp://h:1502"),
        ("rtu:///dev/ttyS0", "timeout", "speed, parity and stop bits"),
        ("tcp://h", "mismatch: protocol 4854 instead of 0000", "something answers, and it is no answer"),
    ],
)
def test_what_an_error_means(target: str, error: str, part: str) -> None:
    said = meaning_of(error, parse_target(target), 3)
    assert part in said
    assert error in said


def test_a_gateway_s_word_is_believed_without_another_look() -> None:
    assert "the gateway answers" in why_silent("exception 11 (x)", parse_target("tcp://127.0.0.1:1"), 3)
