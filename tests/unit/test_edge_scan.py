"""What a scan concludes from answers: recognised by what a device says of itself, never by what happens to fit."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from edge import library
from edge.settings import BusTable, MeterTable
from edge.tools.scan import (
    Possible,
    ScanReport,
    Unit,
    UnitsInvalid,
    is_strong,
    named,
    possible_first,
    settings_text,
    shown,
    units_of,
)
from edge.tools.scanning import reads_a_unit
from edge.tools.target import parse_target
from hakari.cli.root import main
from hakari.registers.profile import Point, Profile

SUNSPEC = library.profile("sunspec-inverter-103", Path())
TVA = library.profile("spirax-sarco-tva", Path())


@pytest.mark.parametrize(
    ("text", "units"), [("1-3", [1, 2, 3]), ("1", [1]), ("17,1-2,2", [1, 2, 17]), ("0-0", [0]), (" 5 , 7 ", [5, 7])]
)
def test_units(text: str, units: list[int]) -> None:
    assert units_of(text) == units


@pytest.mark.parametrize("text", ["", "x", "3-1", "1-256", "256", "1--2", "1,", "-1", "1-2-3", "999999999999"])
def test_what_is_no_units(text: str) -> None:
    with pytest.raises(UnitsInvalid, match="units are 0 to 255"):
        units_of(text)


def test_identity_registers_that_anything_could_hold_name_nobody() -> None:
    assert is_strong(SUNSPEC)
    assert not is_strong(TVA)  # its device type is 0


def profile(**identity: str) -> Profile:
    point = Point(name="model", address=0, type="u16", kind="identity", expect="103")
    text = Point(name="name", address=1, type="string", kind="identity", words=4)
    points = [point, msgspec.structs.replace(text, expect=identity["text"])] if identity else [point]
    return Profile(id="p", maker="Maker", model="AB-12 (all of AB)", source="s", standing="excerpt", points=points)


def test_a_text_is_strong_and_a_small_number_is_not() -> None:
    assert not is_strong(profile())
    assert is_strong(profile(text="AB12"))


@pytest.mark.parametrize(
    ("objects", "fits"),
    [
        ({0: "Maker Ltd", 5: "AB-12"}, True),
        ({0: "maker", 1: "PMAB12X"}, True),
        ({0: "Another", 5: "AB-12"}, False),
        ({0: "Maker", 5: "CD-12"}, False),
        ({0: "Maker", 2: "AB-12"}, False),
        ({0: "Maker", 5: ""}, False),
        ({}, False),
    ],
)
def test_a_device_that_names_itself(objects: dict[int, str], fits: bool) -> None:
    assert [one.id for one in named(objects, [profile()])] == (["p"] if fits else [])


def test_a_few_possible_profiles_best_first() -> None:
    found = [Possible(name, points, []) for name, points in (("a", 2), ("b", 9), ("c", 5), ("d", 5))]
    assert [one.profile for one in possible_first(found)] == ["b", "c", "d"]


FOUND = [
    Unit(1, "holding 0 = 0x0001", "Maker", "AB-12", "4711", "abb-b23", "device identification (0x2B/14)"),
    Unit(2, "exception 2 (illegal data address)", possible=[Possible("abb-b23", 11, ["energy_import 1 kWh"])]),
    Unit(9, 'a\n[[meter]]"', by="SunSpec models 1, 999: hakari edge sunspec makes its profile"),
]


@pytest.mark.parametrize("target", ["tcp://10.0.0.7", "rtu:///dev/ttyUSB0?baud=19200", "rtu-over-tcp://h:4001"])
def test_what_is_written_reads_as_settings(target: str) -> None:
    bus = parse_target(target, 0.3)
    table = tomllib.loads(settings_text(bus, FOUND))
    (written,) = (msgspec.convert(one, BusTable) for one in table["bus"])
    assert written == msgspec.structs.replace(bus, timeout_s=1.0)
    (meter,) = (msgspec.convert(one, MeterTable) for one in table["meter"])
    assert (meter.unit, meter.profile, meter.serial, meter.bus) == (1, "abb-b23", "4711", "bus")


def test_what_is_not_recognised_stays_a_comment() -> None:
    text = settings_text(parse_target("tcp://h"), FOUND)
    assert "# unit 2 answers, type not known; possible: abb-b23\n# [[meter]]\n" in text


def test_a_person_sees_what_each_unit_said() -> None:
    report = ScanReport("tcp://h:502", "holding register 0", 0.3, 10, 1.5, FOUND, {7: "mismatch: unit 6 instead of 7"})
    lines = shown(report).splitlines()
    assert "answers, type not known" in lines[3]
    assert "unit 2 possibly abb-b23 (11 points): energy_import 1 kWh" in lines
    assert any(line.startswith("unit 7: mismatch") for line in lines)
    empty = msgspec.structs.replace(report, found=[], garbled={})
    assert shown(empty) == "no unit of 10 answers at tcp://h:502 within 0.3 s each"


def test_nobody_on_a_serial_line_comes_with_what_to_look_at() -> None:
    for target in ("rtu:///dev/ttyUSB0?baud=9600&parity=none&stop=1", "rtu-over-tcp://h:4001"):
        report = ScanReport(target, "holding register 0", 0.3, 10, 1.5, [], {})
        first, advice = shown(report).splitlines()
        assert first.startswith("no unit of 10 answers")
        assert [word for word in ("speed, parity", "A and B", "--timeout 1") if word not in advice] == []


def test_guesses_are_what_makes_a_unit_slow_to_know() -> None:
    assert reads_a_unit(guesses=False) < 50 < reads_a_unit(guesses=True)


@pytest.mark.parametrize(
    "words",
    [
        ["scan", "tcp://127.0.0.1:1", "--write"],
        ["sunspec", "tcp://127.0.0.1:1", "--out"],
        ["import-points", "none.csv", "--id", "m", "--maker", "a", "--model", "b", "--out"],
    ],
)
def test_a_file_that_is_there_is_refused_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    taken = tmp_path / "taken.toml"
    taken.write_text("mine")
    assert main(["edge", *words, str(taken)]) == 6
    said = capsys.readouterr().err
    assert said == f"error: file {taken} exists and is not overwritten; choose another name or move it\n"
    assert taken.read_text() == "mine"


def test_a_serial_server_is_listened_to_and_that_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "scan", "rtu-over-tcp://127.0.0.1:1", "--units", "1-2"]) == 4
    said = capsys.readouterr().err
    assert "at most 11 s, then each unit found" in said
    assert "the line is listened to for 5 s before each of the two" in said
    assert "--guess tries them all" in said
