"""The thread that watches folders, and the tables of ingest.toml for other senders."""

from __future__ import annotations

import threading
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

import pytest

from hakari.errors import BadConfiguration
from hakari.names import Origin
from ingest.settings import load_settings
from ingest.sources.folder_thread import FolderThread
from tests.unit.own_log_world import LOG, NOW_MS, SETTINGS, OwnWorld, values_of

FOLDER = f"""
[[source]]
kind = "folder"
name = "logger"
log = "{LOG}"
mapping = "table.toml"
folder = "drop"
still_s = 1
"""


def thread_of(world: OwnWorld, grown: list[Origin], heard: threading.Event) -> FolderThread:
    """The thread over the world's settings."""

    def grew(origins: Collection[Origin]) -> None:
        grown.extend(origins)
        heard.set()

    config = world.folder / "ingest.toml"
    given = load_settings(config, {})
    return FolderThread(config, given, world.roster(), lambda: closing(world.evidence()), lambda: NOW_MS, grew)


def test_a_dropped_file_is_in_the_log_and_the_view_hears_of_it(tmp_path: Path) -> None:
    world, heard = OwnWorld(tmp_path), threading.Event()
    grown: list[Origin] = []
    (tmp_path / "ingest.toml").write_text(SETTINGS + FOLDER)
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.csv").write_text("Tag;Zeit;Zähler;Leistung\n01.04.2026;00:00;1000;1\n")
    thread = thread_of(world, grown, heard)
    thread.start()
    assert heard.wait(30)
    thread.check()
    thread.stop()
    thread.check()
    assert (tmp_path / "drop" / "done" / "a.csv").exists()
    with closing(world.evidence()) as evidence:
        assert [point for point, _, _ in values_of(evidence)] == ["energy", "power"]
        assert grown == evidence.origins()


def test_a_source_that_cannot_be_used_ends_the_process_with_its_sentence(tmp_path: Path) -> None:
    world = OwnWorld(tmp_path)
    (tmp_path / "ingest.toml").write_text(SETTINGS + FOLDER.replace("table.toml", "none.toml"))
    thread = thread_of(world, [], threading.Event())
    thread.start()
    thread.stop()
    with pytest.raises(BadConfiguration, match=r"none\.toml cannot be read"):
        thread.check()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (f'log = "{LOG}"', 'log = "sola-none"', "is no \\[\\[own_log\\]\\]"),
        ('name = "logger"', 'name = "Logger!"', "must be of a-z"),
        ('kind = "folder"', 'kind = "ftp"', "ftp"),
        ("still_s = 1", "still_s = 0", "still_s"),
        ("still_s = 1", "still = 1", "did you mean still_s"),
        ("still_s = 1", f"still_s = 1\n{FOLDER}", "'logger' is given twice"),
        ("[[source]]", f'[[own_log]]\nid = "{LOG}"\nkey_file = "b.pem"\n[[source]]', "is given twice"),
        ("[[source]]", '[[own_log]]\nid = "nohyphen"\nkey_file = "b.pem"\n[[source]]', "must be site-edge"),
    ],
)
def test_tables_that_contradict_themselves_are_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    (tmp_path / "ingest.toml").write_text(SETTINGS + FOLDER.replace(old, new, 1))
    with pytest.raises(BadConfiguration, match=why):
        load_settings(tmp_path / "ingest.toml", {})
