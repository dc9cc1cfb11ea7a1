from __future__ import annotations

from pathlib import Path

import pytest

from edge.spool import Spool, SpoolFailed, SpoolUnknown
from hakari.errors import BAD_CONFIGURATION, NOT_REACHABLE

# As many pages as a new spool has and a few more: to SQLite that is a full disk.
PAGES = 20
BODY = b"x" * 3000


def test_what_was_committed_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "spool")
    spool = Spool(path)
    spool._db.execute(f"PRAGMA max_page_count={PAGES}")
    with pytest.raises(SpoolFailed, match="database or disk is full; the edge stops") as caught:
        _write_on(spool)
    assert path in str(caught.value)
    assert caught.value.exit_code == NOT_REACHABLE
    with pytest.raises(SpoolFailed), spool.transaction():
        spool.add_sample("boot", "cfg", 9999, BODY)
    spool.close()
    again = Spool(path)
    assert [sample.slot_ms for sample in again.samples()] == list(range(again.number("last") + 1))
    assert again.number("last") > 2
    again.close()


def _write_on(spool: Spool) -> None:
    for k in range(1000):
        with spool.transaction():
            spool.add_sample("boot", "cfg", k, BODY)
            spool.put_number("last", k)


def test_a_spool_with_a_broken_page_says_so(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    spool = Spool(str(path))
    for k in range(50):
        spool.add_sample("boot", "cfg", k, BODY)
    spool.close()
    content = bytearray(path.read_bytes())
    content[4096 * 8 :] = bytes(len(content) - 4096 * 8)
    path.write_bytes(content)
    with pytest.raises(SpoolFailed, match="malformed"):
        Spool(str(path))


def test_a_spool_without_a_folder_is_bad_configuration(tmp_path: Path) -> None:
    with pytest.raises(SpoolUnknown, match=r"\[edge\]\.spool: .* make its folder or correct the path") as caught:
        Spool(str(tmp_path / "no" / "spool"))
    assert caught.value.exit_code == BAD_CONFIGURATION
