"""A pack's hash: of the bytes that are there, made once, and not while others wait."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from api.packs import MAX_KNOWN, Packs
from tests.unit.api_world import POINT, build, locked, pack_of, period


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_pack_is_hashed_once_for_each_version(tmp_path: Path) -> None:
    pack, packs = tmp_path / "p.hakari", Packs(tmp_path)
    pack.write_bytes(b"one")
    assert asyncio.run(packs.sha256_of(pack)) == digest(b"one")
    known = pack.stat()
    pack.write_bytes(b"two")
    os.utime(pack, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert asyncio.run(packs.sha256_of(pack)) == digest(b"one"), "it was hashed again"
    os.utime(pack, ns=(known.st_atime_ns, known.st_mtime_ns + 1))
    assert asyncio.run(packs.sha256_of(pack)) == digest(b"two")
    (tmp_path / "new").write_bytes(b"new")
    os.utime(tmp_path / "new", ns=(known.st_atime_ns, known.st_mtime_ns + 1))
    (tmp_path / "new").replace(pack)
    assert asyncio.run(packs.sha256_of(pack)) == digest(b"new")


def test_hashing_leaves_the_event_loop_to_others(tmp_path: Path) -> None:
    pack, packs = tmp_path / "p.hakari", Packs(tmp_path)
    pack.write_bytes(b"one")

    async def ask() -> str:
        with packs._hashing:
            asked = asyncio.create_task(packs.sha256_of(pack))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not asked.done()
        return await asked

    assert asyncio.run(asyncio.wait_for(ask(), 30)) == digest(b"one")


def test_what_is_remembered_has_a_limit(tmp_path: Path) -> None:
    packs = Packs(tmp_path)

    async def all_of_them() -> None:
        for number in range(MAX_KNOWN + 2):
            path = tmp_path / f"{number}.hakari"
            path.write_bytes(b"")
            await packs.sha256_of(path)

    asyncio.run(all_of_them())
    assert len(packs._known) == MAX_KNOWN


def test_a_pack_of_an_older_result_is_neither_linked_nor_served(tmp_path: Path) -> None:
    served = build(tmp_path)
    newer = locked(period("plant-a", POINT, "month"), reductions_tco2="0.02")
    (tmp_path / "plant-a-month.hakari").write_bytes(pack_of(newer))
    assert served.json("/v1/periods/plant-a-month")["links"]["pack"] is None
    assert [one["links"]["pack"] for one in served.json("/v1/projects/plant-a/periods")["items"]] == [None, None]
    answer = served.get("/v1/periods/plant-a-month/pack")
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "the pack there is of an older result; write it again: hakari pack write --period plant-a-month",
    )
    (tmp_path / "plant-a-month.hakari").write_bytes(pack_of(period("plant-a", POINT, "month")))
    assert served.get("/v1/periods/plant-a-month/pack").status_code == 200
    served.close()


@pytest.mark.parametrize("content", [b"", b"no pack", pack_of(period("plant-a", POINT, "month"))[:-30]])
def test_what_is_no_pack_is_none(tmp_path: Path, content: bytes) -> None:
    one = period("plant-a", POINT, "month")
    (tmp_path / "plant-a-month.hakari").write_bytes(content)
    packs = Packs(tmp_path)
    assert (packs.path_of(one), packs.is_outdated(one)) == (None, False)
