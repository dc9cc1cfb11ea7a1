"""What a folder, a file and a person can do to an own log without anybody noticing: nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingest.sources.folder import Folder
from ingest.sources.import_cli import import_
from ingest.sources.own_log import OwnLog
from ingest.sources.port import Message
from ingest.sources.table import TableParser
from tests.unit.own_log_world import LOG, NOW_MS, TABLE, OwnWorld, values_of

HEADER = "Tag;Zeit;Zähler;Leistung\n"
STILL_S = 10


@pytest.fixture
def world(tmp_path: Path) -> OwnWorld:
    """An own log that was never written."""
    return OwnWorld(tmp_path)


def watch(world: OwnWorld, own: OwnLog) -> Folder:
    """The watched folder, as a starting ingest opens it."""
    mapping = world.mapping("table.toml")
    found = Folder("logger", world.folder / "drop", STILL_S, mapping, lambda one, now_ms: own.take([one], now_ms)[0])
    found.prepare()
    return found


def rest(folder: Folder, since_s: float) -> int:
    """Looks, and again after the file has rested."""
    return folder.look(NOW_MS, since_s) + folder.look(NOW_MS, since_s + STILL_S)


@pytest.mark.parametrize("first", ["", "01.04.2026;00:00;1000;1\n"])
def test_a_file_that_grows_after_it_was_moved_is_taken_again_even_after_a_restart(world: OwnWorld, first: str) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        folder = watch(world, own)
        path = world.folder / "drop" / "day.csv"
        with path.open("w") as writer:
            writer.write(HEADER + first)
            writer.flush()
            assert rest(folder, 0) == 1
            assert not path.exists()
            writer.write("01.04.2026;00:15;2000;2\n")
            writer.flush()
            folder = watch(world, own)
            assert rest(folder, 100) == 1
        assert [value for _, _, value in values_of(evidence)] == (["1", "1"] if first else []) + ["2", "2"]
        assert (world.folder / "drop" / "done" / "day.csv").exists()
        assert not list((world.folder / "drop" / "refused").iterdir())
        assert rest(folder, 200) == 0


def test_rows_appended_under_a_taken_name_are_refused_with_what_to_do(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        folder = watch(world, own)
        for k, text in enumerate((f"{HEADER}01.04.2026;00:00;1000;1\n", "01.04.2026;00:15;2000;2\n")):
            (world.folder / "drop" / "day.csv").write_text(text)
            assert rest(folder, 100 * k) == 1
    why = (world.folder / "drop" / "refused" / "day.csv.why.txt").read_text()
    assert "a file of this name was taken before" in why
    assert "rename them into the folder" in why


@pytest.mark.parametrize(("old", "new"), [('serial = "M-1"', 'serial = "M-2"'), ('"declared"', '"imported"')])
def test_a_meter_of_another_origin_or_serial_is_refused(world: OwnWorld, old: str, new: str) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        world.take(own, (0, "10"))
        file = world.folder / "declared.toml"
        file.write_text(file.read_text().replace(old, new))
        taken = world.take(own, (1, "11"))
        assert taken[:2] == (0, 0)
        assert "meter main is declared with serial 'M-1' in sola-import" in taken.refused[0]
        assert "use another meter id" in taken.refused[0]
        assert len(values_of(evidence)) == 1


def parsed(world: OwnWorld, rows: str, twice: str = "in-order") -> tuple[list[int], list[str]]:
    """Minutes since midnight UTC of 26 October 2025 at which the rows' energies stand, and what was refused."""
    (world.folder / "table.toml").write_text(
        TABLE.replace('zone = "Europe/Berlin"', f'zone = "Europe/Berlin"\ntwice = "{twice}"')
    )
    text = HEADER + "".join(f"26.10.2025;{time};{k + 1};-\n" for k, time in enumerate(rows.split()))
    found = TableParser(world.mapping("table.toml")).parse(Message("logger", "a.csv", text.encode()), NOW_MS)
    return [(one.t_ms - 1_761_436_800_000) // 60_000 for one in found.readings], found.refused


@pytest.mark.parametrize(
    ("rows", "minutes"),
    [
        ("01:30 02:00 02:30 02:00 02:30 03:00", [-30, 0, 30, 60, 90, 120]),
        ("01:00 02:00 02:00 03:00", [-60, 0, 60, 120]),
    ],
)
def test_both_hours_of_a_repeated_time_in_order(world: OwnWorld, rows: str, minutes: list[int]) -> None:
    assert parsed(world, rows) == (minutes, [])


@pytest.mark.parametrize("rows", ["02:00 02:30 03:00", "01:30 02:15 02:30", "02:00 02:30 02:15 02:00"])
def test_a_repeated_hour_that_its_rows_do_not_tell_is_refused(world: OwnWorld, rows: str) -> None:
    minutes, refused = parsed(world, rows)
    assert all("do not say which it is" in one for one in refused)
    assert len(refused) == rows.count("02:")
    assert len(minutes) == len(rows.split()) - len(refused)


def test_the_advice_for_a_repeated_time_does_not_misdate(world: OwnWorld) -> None:
    _, refused = parsed(world, "02:00", "refuse")
    assert 'twice = "in-order"' in refused[0]
    assert "only where it holds that one alone" in refused[0]


def test_a_workbook_is_named_and_excels_first_line_is_left_out(world: OwnWorld) -> None:
    parser = TableParser(world.mapping("table.toml"))
    (sentence,) = parser.parse(Message("logger", "a.xlsx", b"PK\x03\x04\x14\x00"), NOW_MS).refused
    assert "it is a workbook, not a table: open it and save it as CSV" in sentence
    text = f"\ufeffsep=;\r\n{HEADER}01.04.2026;00:00;1x;1\n"
    found = parser.parse(Message("logger", "a.csv", text.encode()), NOW_MS)
    assert [one.point for one in found.readings] == ["power"]
    assert found.refused[0].startswith("line 3, column Zähler")


def test_a_dry_run_needs_no_log_and_shows_what_becomes_of_each_value(world: OwnWorld) -> None:
    table = world.folder / "table.toml"
    table.write_text(table.read_text().replace('"Zähler"', '"Zähler [kWh]"'))
    (world.folder / "a.csv").write_text(
        "Tag;Zeit;Zähler [kWh];Leistung\n31.12.2025;00:00;1;1\n01.04.2026;00:00;-5;-5\n"
    )
    fixed = ["--config", str(world.folder / "ingest.toml"), "--log", LOG, "--who", "A", "--why", "B", "--dry-run"]
    ended = CliRunner().invoke(
        import_, [*fixed, "--mapping", str(table), str(world.folder / "a.csv")], standalone_mode=False
    )
    assert ended.return_value == 5, ended
    lines = ended.output.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith(f"{LOG}/logger")] == [
        "REFUSED", "REFUSED", "COUNTER", "new",
    ]  # fmt: skip
    assert "note: column 'Zähler [kWh]' tells kWh, and the mapping takes its values as Wh" in ended.output
    assert "2 new values would be taken as imported" in ended.output
    assert not (world.folder / "evidence.db").exists()
