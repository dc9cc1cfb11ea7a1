"""The watched folder belongs to somebody whom nobody has to trust: links, planted names, and what fills the memory."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ingest.sources.dropped import Dropped, NotOurs
from ingest.sources.folder import Folder, FolderUnusable
from ingest.sources.table_lines import MAX_CELLS, MAX_FILE_BYTES, MAX_LINES, MAX_ROW_CHARS, MAX_ROWS
from ingest.sources.taken import FILE
from tests.unit.own_log_world import NOW_MS, TABLE, OwnWorld
from tests.unit.test_ingest_tables import HEADER, parse

GOOD = f"{HEADER}01.04.2026;00:00;1000;1\n"
MIB = 1024 * 1024


class Watched:
    """A watched folder with an own log behind it."""

    def __init__(self, world: OwnWorld, beside: Path | None = None) -> None:
        self.world = world
        self.folder = world.folder / "drop"
        (world.folder / "table.toml").write_text(TABLE)
        self.beside = beside
        self.look()

    def look(self) -> None:
        """As an ingest that was started again: everything rests."""
        with closing(self.world.evidence()) as evidence, closing(self.world.own(evidence)) as own:
            folder = Folder(
                "logger",
                self.folder,
                10.0,
                self.world.mapping("table.toml"),
                lambda taking, now_ms: own.take([taking], now_ms)[0],
                self.beside,
            )
            folder.prepare()
            folder.look(NOW_MS, 0.0)
            folder.look(NOW_MS, 10.0)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(OwnWorld(tmp_path))


def test_a_planted_reason_leads_nowhere(watched: Watched, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for part in ("done", "refused"):
        (watched.folder / part / "a.csv.why.txt").symlink_to(victim)
    (watched.folder / "refused" / "a.csv").symlink_to(victim)
    (watched.folder / "a.csv").write_text("no table\n")
    watched.look()
    assert victim.read_text() == "mine"
    moved = [
        one for one in (watched.folder / "refused").iterdir() if one.name.startswith("a.csv.") and not one.is_symlink()
    ]
    assert len(moved) == 2
    assert any("exactly once is needed" in one.read_text() for one in moved)


@pytest.mark.parametrize("part", ["done", "refused"])
def test_a_folder_that_became_a_link_takes_nothing(watched: Watched, tmp_path: Path, part: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for one in (watched.folder / part).iterdir():
        one.unlink()
    (watched.folder / part).rmdir()
    (watched.folder / part).symlink_to(elsewhere)
    (watched.folder / "a.csv").write_text(GOOD)
    with pytest.raises(FolderUnusable, match="no folder of ingest's own user"):
        watched.look()
    files = Dropped(watched.folder)
    with pytest.raises(NotOurs):
        files.check()
    with pytest.raises(NotOurs):
        files.move("a.csv", f"{part}/a.csv")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to others")
def test_a_folder_of_somebody_else_takes_nothing(watched: Watched) -> None:
    os.chown(watched.folder / "done", 12345, 12345)
    with pytest.raises(FolderUnusable, match="no folder of ingest's own user"):
        watched.look()


def test_names_that_were_planted_stand_for_no_other_file(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    (watched.folder / FILE).write_text('{"../secret": [1, 2], "done/../../secret": [1, 2], "/etc/hostname": [1, 2]}')
    watched.look()
    assert (tmp_path / "secret").read_text() == "mine"
    files = Dropped(watched.folder)
    for name in ("../secret", "done/../../secret", "..", "done/..", "/etc/hostname", "other/a", ""):
        with pytest.raises(FileNotFoundError):
            files.open(name)
    (watched.folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        files.open("link")
    with pytest.raises(FileExistsError):
        files.write_new("link", b"x")


def test_done_may_stand_out_of_the_senders_reach(tmp_path: Path) -> None:
    watched = Watched(OwnWorld(tmp_path), tmp_path / "kept")
    (watched.folder / "a.csv").write_text(GOOD)
    watched.look()
    assert list(watched.folder.iterdir()) == []
    assert (tmp_path / "kept" / "done" / "a.csv").read_text() == GOOD


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("\n" * (MAX_LINES + 1), f"more than {MAX_LINES} lines"),
        (HEADER + ";;;1\n" * (MAX_ROWS + 1), "has more than"),
        (HEADER + "x" * (MAX_ROW_CHARS + 1), f"more than {MAX_ROW_CHARS} characters"),
        (HEADER + '"\n";' * (MAX_ROW_CHARS // 4 + 1), f"more than {MAX_ROW_CHARS} characters"),
        (";" * MAX_CELLS + "\n", "the file cannot be taken"),
        (HEADER + ";" * MAX_CELLS + "1\n", f"line 2: it has {MAX_CELLS + 1} cells, limit {MAX_CELLS}"),
    ],
)
def test_what_goes_on_and_on_is_refused(tmp_path: Path, content: str, why: str) -> None:
    found = parse(OwnWorld(tmp_path), content)
    assert found.readings == []
    assert why in found.refused[0]


MEASURE = """
import sys
from pathlib import Path
from ingest.sources.mapping import read_mapping
from ingest.sources.port import Message
from ingest.sources.table import TableParser
parser = TableParser(read_mapping(Path(sys.argv[1]), "sola-import"))
def peak():
    # Not getrusage: its figure begins with that of the process which started this one.
    (found,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
    return int(found.split()[1])
before = peak()
content = sys.argv[2].encode().decode("unicode_escape").encode()
payload = (content * ({size} // len(content) + 1))[:{size}]
assert parser.parse(Message("s", "a.csv", payload), 1_800_000_000_000).refused
print((peak() - before) // 1024)
"""


@pytest.mark.parametrize("repeated", ["\\n", ";", "x", '"\\n";', "a;b;c;d\\n", "Tag;Zeit;Z\\u00e4hler;Leistung\\n"])
def test_a_large_file_takes_little_memory(tmp_path: Path, repeated: str) -> None:
    (tmp_path / "table.toml").write_text(TABLE)
    code = MEASURE.format(size=MAX_FILE_BYTES)
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "table.toml"), repeated], capture_output=True, text=True, check=True
    )
    assert MAX_FILE_BYTES // MIB <= int(told.stdout) < MAX_FILE_BYTES // MIB + 70
