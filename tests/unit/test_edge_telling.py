"""What the edge's process log says of lines and meters: once, of the right one, and the likelier cause first."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from edge.library import profile
from edge.reads.plan import requests_of
from edge.telling import Telling
from hakari.registers.groups import asked_points
from hakari.registers.profile import Profile
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import Block, Sample

REFUSED = "exception 2 (illegal data address)"
NOT_ASKED = f"not asked: {REFUSED}; asked again once an hour"
STEAM = profile("spirax-sarco-tva", Path())


class Room:
    """One bus with meters a and b, and what is said of their samples."""

    def __init__(self, caplog: pytest.LogCaptureFixture, made: Profile = STEAM) -> None:
        caplog.set_level(logging.INFO, "hakari.edge")
        self.caplog = caplog
        self.telling = Telling()
        self.meters = [Meter(one, "main", unit, "", made) for unit, one in enumerate("ab", 1)]
        self.slot_ms = 0

    def sample(self, *blocks: list[Block], meters: list[Meter] | None = None) -> list[str]:
        """What one sample makes it say, each with its level."""
        self.caplog.clear()
        self.slot_ms += 10_000
        configuration = MeteringConfiguration(1, "sola-e1", 10_000, 60_000, meters or self.meters)
        self.telling.sample(Sample(self.slot_ms, 0, [one for some in blocks for one in some]), configuration)
        return [f"{one.levelname} {one.getMessage()}" for one in self.caplog.records]


def blocks(meter: Meter, *errors: str) -> list[Block]:
    """A block a request, with the error of its number, the last one for the rest."""
    found = []
    for k, request in enumerate(requests_of(meter.profile, meter.unit)):
        error = errors[min(k, len(errors) - 1)]
        answer = "" if error else (bytes((request.function, 2 * request.count)) + bytes(2 * request.count)).hex()
        found.append(Block(meter.id, "modbus-tcp", request.encode().hex(), 0, 0, answer, error))
    return found


def test_a_line_that_does_not_open_is_told_and_not_its_meters(caplog: pytest.LogCaptureFixture) -> None:
    room = Room(caplog)
    a, b = room.meters
    refused = "connection: refused"
    closed = blocks(a, refused, f"not tried: {refused}"), blocks(b, f"not tried: {refused}")
    assert room.sample(*closed) == [f"WARNING bus main: {refused}; meters on it are not read"]
    assert room.sample(*closed) == []
    assert room.sample(blocks(a, ""), blocks(b, "")) == ["INFO bus main: its meters are asked again"]


def test_a_meter_that_was_not_tried_is_not_called_silent(caplog: pytest.LogCaptureFixture) -> None:
    room = Room(caplog)
    a, b = room.meters
    told = room.sample(blocks(a, ""), blocks(b, "not tried: no time left in this slot"))
    assert told == ["WARNING bus main: no time left in this slot; meters on it are not read"]
    assert room.sample(blocks(a, ""), blocks(b, "")) == ["INFO bus main: its meters are asked again"]


def test_silence_is_the_meter_s_own_also_while_it_is_not_asked(caplog: pytest.LogCaptureFixture) -> None:
    room = Room(caplog)
    a, b = room.meters
    assert room.sample(blocks(a, ""), blocks(b, "timeout")) == ["WARNING meter b answers nothing: timeout"]
    assert room.sample(blocks(a, ""), blocks(b, "not tried: timeout")) == []
    assert room.sample(blocks(a, ""), blocks(b, "")) == ["INFO meter b answers again"]


def test_refused_counters_are_named_and_hold_back_that_it_answers_again(caplog: pytest.LogCaptureFixture) -> None:
    made = profile("schneider-iem3155", Path())
    room = Room(caplog, made)
    a, b = room.meters
    first = requests_of(made, 1)[0]
    points = asked_points(made, first.table, first.address, first.count)
    counters = [point.name for point in points if point.kind == "counter"]
    assert counters
    room.sample(blocks(a, "timeout"), blocks(b, ""))
    (told,) = room.sample(blocks(a, REFUSED, ""), blocks(b, ""))
    assert told.startswith(f"WARNING meter a refuses the points {', '.join(counters)}: their readings are BAD")
    assert room.sample(blocks(a, NOT_ASKED, ""), blocks(b, "")) == []
    assert room.sample(blocks(a, ""), blocks(b, "")) == ["INFO meter a answers again"]


@pytest.mark.parametrize(
    ("name", "cause"),
    [("serial", "see whether serial in its [[meter]] stands there"), ("model_name", "see whether its profile fits")],
)
def test_another_identity_is_told_at_once_with_the_likelier_cause_first(
    caplog: pytest.LogCaptureFixture, name: str, cause: str
) -> None:
    bundled = profile("sunspec-inverter-103", Path())
    points = [msgspec.structs.replace(one, expect="X" if one.name == name else None) for one in bundled.points]
    meter = Meter("a", "main", 1, "", msgspec.structs.replace(bundled, points=points))
    room = Room(caplog)
    (told,) = room.sample(blocks(meter, ""), meters=[meter])
    assert told.startswith(f"WARNING meter a: every value is BAD, identity mismatch: {name} holds '', not 'X'; {cause}")
    assert told.endswith("if it does, another meter was put there: hakari edge replace-meter explains it")
    assert room.sample(blocks(meter, ""), meters=[meter]) == []


def test_a_suspended_meter_is_said_once_in_each_process(caplog: pytest.LogCaptureFixture) -> None:
    meter = Meter("a", "main", 1, "", STEAM, suspended="serial was 'A' and is 'B'")
    said = ["WARNING meter a is suspended, its readings do not count: serial was 'A' and is 'B'"]
    for room in (Room(caplog), Room(caplog)):
        assert room.sample(blocks(meter, ""), meters=[meter]) == said
        assert room.sample(blocks(meter, ""), meters=[meter]) == []
