"""Tables of loggers under a declared mapping, the folder that they are dropped into, and `hakari import`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from hakari.errors import BadConfiguration, HakariError
from ingest.sources.folder import Folder
from ingest.sources.import_cli import import_
from ingest.sources.own_log import Taken, Taking
from ingest.sources.port import GivenReading, Message, Parsed
from ingest.sources.table import TableParser
from ingest.sources.table_lines import MAX_FILE_BYTES
from ingest.sources.taken import FILE
from tests.unit.own_log_world import LOG, NOW_MS, TABLE, OwnWorld, leaves_of, values_of

HEADER = "Tag;Zeit;Zähler;Leistung\n"


@pytest.fixture
def world(tmp_path: Path) -> OwnWorld:
    """An own log that was never written."""
    return OwnWorld(tmp_path)


def parse(world: OwnWorld, content: bytes | str, change: Callable[[str], str] = str) -> Parsed:
    """What the parser of TABLE, as `change` leaves it, finds in a file."""
    (world.folder / "table.toml").write_text(change(TABLE))
    payload = content.encode() if isinstance(content, str) else content
    return TableParser(world.mapping("table.toml")).parse(Message("logger", "a.csv", payload), NOW_MS)


def test_a_table_of_excel_with_mark_semicolons_and_decimal_commas(world: OwnWorld) -> None:
    content = "\ufeff" + HEADER.replace("\n", "\r\n") + "01.04.2026;00:15;1234500,5;-\r\n01.04.2026;00:00;+1;2,50\r\n"
    assert parse(world, content) == Parsed(
        [
            GivenReading("logger", "energy", 1_774_995_300_000, "1234.5005", "line 2, column Zähler"),
            GivenReading("logger", "energy", 1_774_994_400_000, "0.001", "line 3, column Zähler"),
            GivenReading("logger", "power", 1_774_994_400_000, "2.50", "line 3, column Leistung"),
        ],
        [],
    )


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("01.04.2026;00:00;1.234,5;1\n", "line 2, column Zähler: value '1.234,5' is no plain number"),
        ("01.04.2026;00:00;1,2E+05;1\n", "value '1,2E+05' is no plain number"),
        ("01.04.2026;00:00;#WERT!;1\n", "value '#WERT!' is no plain number"),
        ("01.04.2026;24:00;1;1\n", "line 2: time '01.04.2026 24:00' is not of the format"),
        ("04/01/2026;00:00;1;1\n", "is not of the format"),
        ("01.04.2026;00:00;1\n", "line 2: it has 3 cells, the header 4"),
        ("29.03.2026;02:30;1;1\n", "does not exist in Europe/Berlin: clocks were put forward"),
        ("26.10.2025;02:30;1;1\n", "comes twice in Europe/Berlin"),
        ("01.04.2026;00:00;1;12", "line 2: it has no line end, so it may be cut off"),
        ('01.04.2026;00:00;"1;1\n', "the file cannot be taken: line 2: unexpected end of data"),
    ],
)
def test_what_a_row_cannot_be_is_said_by_line_column_value_and_limit(world: OwnWorld, row: str, why: str) -> None:
    found = parse(world, HEADER + row)
    readings, refused = found.readings, found.refused
    assert any(why in one for one in refused), refused
    assert not [one for one in readings if one.point == "energy"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\x89PNG\r\n\x1a\n", "byte 0 is not utf-8"),
        (HEADER.encode() + b"01.04.2026;00:00;1\x00;1\n", "zero bytes"),
        (b"<html><body>Login</body></html>\n", "column 'Tag' 0 times"),
        ("Tag;Zeit;Zähler;Zähler\n".encode(), "column 'Zähler' 2 times"),
        (HEADER.encode(), "it has no values"),
        (b"a" * (MAX_FILE_BYTES + 1), f"limit {MAX_FILE_BYTES}"),
        (HEADER.encode() + b"01.04.2026;00:00;1;1\n" * 50_001, "more than 100000 values"),
    ],
)
def test_a_file_that_is_no_such_table_gives_one_refusal(world: OwnWorld, content: bytes, why: str) -> None:
    found = parse(world, content)
    (sentence,) = found.refused
    assert not found.readings
    assert sentence.startswith("the file cannot be taken: ")
    assert why in sentence


@pytest.mark.parametrize(("twice", "t_ms"), [("first", 1_761_438_600_000), ("second", 1_761_442_200_000)])
def test_a_local_time_that_comes_twice_is_the_one_that_the_mapping_says(world: OwnWorld, twice: str, t_ms: int) -> None:
    zone = 'zone = "Europe/Berlin"'
    found = parse(
        world, HEADER + "26.10.2025;02:30;1;1\n", lambda text: text.replace(zone, f'{zone}\ntwice = "{twice}"')
    )
    assert {one.t_ms for one in found.readings} == {t_ms}


def test_the_long_form_in_another_encoding_with_comments_thousands_and_epochs(world: OwnWorld) -> None:
    def long(text: str) -> str:
        text = text.replace('["Tag", "Zeit"]', '["ts"]').replace('"%d.%m.%Y %H:%M"', '"epoch-s"')
        text = text.replace('zone = "Europe/Berlin"', "")
        return text.replace(
            'decimal = ","',
            'decimal = "."\nthousands = ","\nencoding = "cp932"\ncomment = "#"\nskip_lines = 1\nnames = "tag"\n'
            'values = "v"',
        )

    content = "電力量\nts;tag;v\n# 注\n1774995300;Zähler;1,234.5\n1774995300;X;1\n1774995300;Leistung;12,34\n"
    content = content.replace("Zähler", "電力")
    found = parse(world, content.encode("cp932"), lambda text: long(text).replace('name = "Zähler"', 'name = "電力"'))
    assert [(one.point, one.value) for one in found.readings] == [("energy", "1.2345")]
    assert ["'X' is no [[column]]" in found.refused[0], "'12,34' is no plain" in found.refused[1]] == [True, True]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('kind = "counter"', 'kind = "amount"', "an amount of a period cannot be credited"),
        ('unit = "Wh"', 'unit = "kW"', "they do not convert"),
        ('point = "power"', 'point = "energy"', "two \\[\\[column\\]\\] go to logger/energy"),
        ('meter = "logger"', 'meter = "other"', "which no \\[\\[meter\\]\\] declares"),
        ('zone = "Europe/Berlin"', "", "give the zone where the format has no %z"),
        ('zone = "Europe/Berlin"', 'zone = "Mars"', "Mars"),
        ('decimal = ","', 'decimal = ","\nthousands = ","', "must differ"),
        ("from = 2026-01-01T00:00:00Z", "from = 2026-01-01T00:00:00", "from has no offset"),
        ("interval_s = 900", "interval_s = 900\neval = 1", "eval is not a known key"),
        ("interval_s = 900", "interval_s = 100000", "no whole number of days"),
    ],
)
def test_a_mapping_that_leaves_something_open_is_refused(world: OwnWorld, old: str, new: str, why: str) -> None:
    assert old in TABLE
    (world.folder / "table.toml").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(BadConfiguration, match=why):
        world.mapping("table.toml")


class Dropped:
    """A watched folder, whose machine time is turned by hand."""

    def __init__(self, world: OwnWorld, take: Callable[[Taking, int], Taken]) -> None:
        self.folder = world.folder / "drop"
        self.machine_s = 0.0
        self.watch = Folder("logger", self.folder, 10.0, world.mapping("table.toml"), take)
        self.watch.prepare()

    def put(self, name: str, *rows: str) -> Path:
        (self.folder / name).write_text(HEADER + "".join(f"{row}\n" for row in rows))
        return self.folder / name

    def look(self, after_s: float) -> int:
        self.machine_s += after_s
        return self.watch.look(NOW_MS, self.machine_s)

    def left(self) -> list[str]:
        return sorted(
            str(one.relative_to(self.folder))
            for one in self.folder.rglob("*")
            if one.is_file() and one.name != Path(FILE).name
        )


def test_a_file_is_taken_once_it_rests_and_moved_after_its_values_are_leaves(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        dropped = Dropped(world, lambda taking, now_ms: own.take([taking], now_ms)[0])
        path = dropped.put("a.csv", "01.04.2026;00:00;1000;1")
        assert (dropped.look(0), dropped.look(9)) == (0, 0)
        with path.open("a") as file:
            file.write("01.04.2026;00:15;1x;2\n31.12.2025;00:15;5;2\n")
        assert (dropped.look(9), dropped.look(9)) == (0, 0)
        assert dropped.left() == ["a.csv"]
        assert dropped.look(1) == 1
        assert dropped.left() == ["done/a.csv", "done/a.csv.why.txt"]
        why = (dropped.folder / "done" / "a.csv.why.txt").read_text()
        assert "line 3, column Zähler: value '1x' is no plain number" in why
        assert "line 4, column Zähler: logger/energy: time 2025-12-30T23:15:00Z lies before its commissioning" in why
        assert [value for _, _, value in values_of(evidence)] == ["1", "1", "2"]
        assert evidence.quarantine_total().kept == 1


def test_unfinished_linked_and_foreign_files(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        dropped = Dropped(world, lambda taking, now_ms: own.take([taking], now_ms)[0])
        for name in ("a.csv.part", "b.tmp", ".c.csv", "d.csv.filepart"):
            dropped.put(name, "01.04.2026;00:00;1000;1")
        (dropped.folder / "link.csv").symlink_to("/etc/hostname")
        (dropped.folder / "folder.csv").mkdir()
        os.mkfifo(dropped.folder / "fifo.csv")
        (dropped.folder / "bin.csv").write_bytes(bytes(range(256)))
        (dropped.folder / "empty.csv").touch()
        assert (dropped.look(0), dropped.look(10), dropped.look(10)) == (0, 2, 0)
        (dropped.folder / "a.csv.part").rename(dropped.folder / "a.csv")
        assert (dropped.look(0), dropped.look(10)) == (0, 1)
        assert [one for one in dropped.left() if "/" in one] == [
            "done/a.csv", "refused/bin.csv", "refused/bin.csv.why.txt", "refused/empty.csv",
            "refused/empty.csv.why.txt",
        ]  # fmt: skip


def test_a_file_that_changes_under_its_name_while_it_is_taken_stays(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:

        def take(taking: Taking, now_ms: int) -> Taken:
            dropped.put("new", "01.04.2026;00:15;2000;2").rename(dropped.folder / "a.csv")
            return own.take([taking], now_ms)[0]

        dropped = Dropped(world, take)
        dropped.put("a.csv", "01.04.2026;00:00;1000;1")
        dropped.look(0)
        dropped.look(10)
        assert dropped.left() == ["a.csv"]
        dropped.watch._take = lambda taking, now_ms: own.take([taking], now_ms)[0]
        dropped.look(0)
        dropped.look(10)
        assert dropped.left() == ["done/a.csv"]
        assert len(values_of(evidence)) == 4


def test_a_failed_commit_leaves_the_file_and_a_repeated_one_counts_nothing(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:

        def fail(taking: Taking, now_ms: int) -> Taken:
            own.take([taking], now_ms)
            raise HakariError("killed after the commit")

        dropped = Dropped(world, fail)
        dropped.put("a.csv", "01.04.2026;00:00;1000;1")
        dropped.look(0)
        with pytest.raises(HakariError):
            dropped.look(10)
        assert dropped.left() == ["a.csv"]
        again = Dropped(world, lambda taking, now_ms: own.take([taking], now_ms)[0])
        assert (again.look(0), again.look(10)) == (0, 1)
        again.put("a.csv", "01.04.2026;00:00;1000;1")
        assert (again.look(0), again.look(10)) == (0, 1)
        assert len([one for one in again.left() if one.startswith("done/a.csv")]) == 2
        assert len(values_of(evidence)) == 2


def run(world: OwnWorld, *arguments: str) -> tuple[int, str]:
    """`hakari import` with these arguments: how it ends, and what it prints."""
    fixed = ["--config", str(world.folder / "ingest.toml"), "--log", LOG, "--who", "A. Binh", "--why", "monthly"]
    result = CliRunner().invoke(import_, [*fixed, *arguments], standalone_mode=False)
    if isinstance(result.exception, HakariError):
        return result.exception.exit_code, str(result.exception)
    return (2, str(result.exception)) if result.exception else (int(result.return_value), result.output)


def test_import_of_typed_values_and_of_a_file(world: OwnWorld) -> None:
    declared, table = str(world.folder / "declared.toml"), str(world.folder / "table.toml")
    (world.folder / "invoice.pdf").write_bytes(b"invoice")
    (world.folder / "a.csv").write_text(f"{HEADER}01.04.2026;00:00;1000;x\n")
    with closing(world.evidence()):
        pass
    typed = ("--mapping", declared, "--value", "main/energy=1234.5@2026-05-01T00:00:00+07:00", "--json")
    code, printed = run(world, *typed, "--dry-run")
    assert (code, json.loads(printed)["new"], json.loads(printed)["dry_run"]) == (0, 1, True)
    code, printed = run(world, *typed, "--document", str(world.folder / "invoice.pdf"))
    assert (code, json.loads(printed)["new"]) == (0, 1)
    code, printed = run(world, "--mapping", table, str(world.folder / "a.csv"))
    assert code == 5
    assert "1 new values taken into plant.example/sola/import/" in printed
    assert "refused: line 2, column Leistung: value 'x' is no plain number" in printed
    with closing(world.evidence()) as evidence:
        assert next((hours, value) for _, hours, value in values_of(evidence)) == (-7, "1234.5")
        events = [
            dict(event.data) for _, leaf in leaves_of(evidence) for event in leaf.events if event.kind == "import"
        ]
    assert [(one["who"], one["why"], one["origin"]) for one in events] == [
        ("A. Binh", "monthly", "declared"), ("A. Binh", "monthly", "imported"),
    ]  # fmt: skip
    assert events[0]["document"] == "invoice.pdf"
    assert len(events[0]["document_sha256"]) == len(events[1]["sha256"]) == 64


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("--mapping", "declared.toml"), 2, "either a FILE or values"),
        (("--mapping", "declared.toml", "--value", "main/energy=1"), 2, "is not METER/POINT=VALUE@TIME"),
        (("--mapping", "declared.toml", "--value", "main/energy=1@2026-05-01T00:00:00"), 2, "has no offset"),
        (("--mapping", "declared.toml", "--value", "main/energy=1@yesterday"), 2, "is no time"),
        (("--mapping", "table.toml", "--value", "logger/energy=1@2026-05-01T00:00:00Z"), 6, "is declared; use"),
        (("--mapping", "none.toml", "--value", "main/energy=1@2026-05-01T00:00:00Z"), 3, "cannot be read"),
        (("--mapping", "declared.toml", "none.csv"), 3, "cannot be read"),
        (("--mapping", "declared.toml", "ingest.toml"), 3, "describes no file"),
        (("--mapping", "declared.toml", "--log", "sola-other", "--value", "main/energy=1@2026-05-01T00:00:00Z"), 3,
         "no [[own_log]] with id"),
    ],
)  # fmt: skip
def test_import_refuses_with_a_sentence_and_its_exit_code(
    world: OwnWorld, arguments: tuple[str, ...], code: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.folder)
    found, sentence = run(world, *arguments)
    assert (found, why in sentence) == (code, True), sentence
