"""The container of a pack: one form, readable by any ZIP tool, refused in every other."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import pytest

from hakari.errors import DataProblem
from hakari.log.checkpoint import Checkpoint
from hakari.names import Origin
from hakari.pack.container import MAX_ENTRIES, Entry, PackMalformed, directory, local_header, parse
from hakari.pack.layout import SINGLE, record, records
from hakari.pack.reader import PackNotFound, load, read
from hakari.pack.writer import EvidenceMissing, PackNotWritten, PackParts, write_into, write_pack
from tests.unit.calc_world import EDGE, NAMESPACE, ORIGIN, World, month

CONTENTS = {name: f"content of {name}\n".encode() for name in SINGLE if name != "manifest.json"}
CONTENTS |= {f"leaves/{EDGE}/1.leaves": record(b"one") + record(b"two"), f"checkpoints/{EDGE}/1.note": b"note"}


def built(contents: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    write_into(file, {name: [content] for name, content in contents.items()})
    return file.getvalue()


PACK = built(CONTENTS)


def test_what_was_written_is_read_again_and_any_zip_tool_reads_it() -> None:
    pack = read(PACK)
    assert {name: bytes(content) for name, content in pack.contents.items() if name != "manifest.json"} == CONTENTS
    assert pack.places == [(EDGE, 1)]
    with zipfile.ZipFile(io.BytesIO(PACK)) as archive:
        assert archive.testzip() is None
        assert archive.read("project.toml") == CONTENTS["project.toml"]
        assert archive.namelist()[-1] == "manifest.json"


def test_the_same_contents_in_any_order_and_chunking_are_the_same_bytes() -> None:
    file = io.BytesIO()
    write_into(file, {name: [bytes([byte]) for byte in CONTENTS[name]] for name in reversed(CONTENTS)})
    assert file.getvalue() == PACK


def test_every_flipped_bit_is_found() -> None:
    for at in range(len(PACK)):
        for bit in range(8):
            flipped = bytearray(PACK)
            flipped[at] ^= 1 << bit
            with pytest.raises(PackMalformed):
                read(bytes(flipped))


def test_every_truncation_and_every_addition_is_found() -> None:
    for end in range(len(PACK)):
        with pytest.raises(PackMalformed):
            read(PACK[:end])
    for extra in (b"\0", b"PK\x03\x04", PACK):
        with pytest.raises(PackMalformed):
            read(PACK + extra)
    with pytest.raises(PackMalformed):
        read(b"#!/bin/sh\n" + PACK)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "leaves/site-e1/01.leaves", "leaves/site-e1/1.leaves/x",
                                  "README.TXT", "leaves/Site-e1/1.leaves", "notes.txt", "project.toml\0"])  # fmt: skip
def test_a_name_that_no_pack_holds_is_refused(name: str) -> None:
    with pytest.raises(PackMalformed, match="not a name"):
        built({**CONTENTS, name: b""})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(PackMalformed):
        parse(file.getvalue())


def test_a_pack_as_another_tool_writes_it_is_refused() -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, content in read(PACK).contents.items():
                archive.writestr(name, bytes(content))
        with pytest.raises(PackMalformed):
            read(file.getvalue())


def test_a_bomb_is_refused_before_it_is_read() -> None:
    header = bytearray(PACK)
    header[18:26] = b"\xff" * 8
    with pytest.raises(PackMalformed, match=r"cut off inside README\.txt"):
        read(bytes(header))
    many = {f"leaves/{EDGE}/{k}.leaves": b"" for k in range(MAX_ENTRIES + 1)}
    with pytest.raises(PackMalformed, match="more than 5000 entries"):
        parse(built(many))


@pytest.mark.parametrize("missing", [name for name in CONTENTS if not name.startswith("leaves")])
def test_a_missing_entry_is_named(missing: str) -> None:
    rest = {name: content for name, content in CONTENTS.items() if name != missing}
    with pytest.raises(PackMalformed, match=missing):
        read(built(rest))


def _with_manifest(manifest: bytes) -> bytes:
    """The good pack with another manifest in a container that is right in itself."""
    contents = {name: bytes(content) for name, content in read(PACK).contents.items()}
    data, entries = b"", []
    for name, content in {**contents, "manifest.json": manifest}.items():
        entries.append(Entry(name, zlib.crc32(content), len(content), len(data)))
        data += local_header(entries[-1]) + content
    return data + directory(entries, len(data))


def test_a_manifest_that_lists_anything_else_is_refused() -> None:
    manifest = read(PACK).bytes_of("manifest.json")
    assert _with_manifest(manifest) == PACK
    for wrong in (
        manifest.replace(b'"size": 4', b'"size": 5'),
        manifest.replace(b"README", b"README2"),
        manifest.replace(b'"v": 1', b'"v": 2'),
        manifest + b" ",
        manifest[:-10],
        b'{"v":1,"entries":[]}',
        b'{"v":1,"\xff":[]}',
    ):
        assert wrong != manifest
        with pytest.raises(PackMalformed, match="manifest"):
            read(_with_manifest(wrong))


def test_a_checkpoint_without_leaves_is_refused() -> None:
    with pytest.raises(PackMalformed, match=r"7\.mark has no leaves"):
        read(built({**CONTENTS, f"checkpoints/{EDGE}/7.mark": b""}))


def test_leaf_records_are_bounded() -> None:
    assert list(records("x", memoryview(record(b"a") + record(b"bc")))) == [b"a", b"bc"]
    for wrong in (b"\0", b"\0\0\0\2a", b"\xff\xff\xff\xff", b"\0\2\0\0" + b"a" * 2**17, record(b"")):
        with pytest.raises(PackMalformed, match="empty, cut off or longer"):
            list(records("x", memoryview(wrong)))


def test_a_pack_streams_the_leaves_below_the_cut_and_replaces_the_file(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.record(month()[:80], world.configure())
    head = world.evidence.head(ORIGIN)
    cut = Checkpoint(ORIGIN, head.size - 2, b"\0" * 32)
    single = {name: content for name, content in CONTENTS.items() if "/" not in name}
    path = tmp_path / "a.hakari"
    path.write_bytes(b"old")
    write_pack(path, PackParts(single, [cut], {ORIGIN: b"mark"}), world.evidence)
    pack = read(load(path))
    name = f"leaves/{EDGE}/1.leaves"
    stored = [leaf.deflated for leaf in world.evidence.leaves(ORIGIN, 0, cut.size)]
    assert list(records(name, pack.contents[name])) == stored
    last = world.evidence.leaf(ORIGIN, cut.size - 1)
    assert last is not None
    assert pack.bytes_of(f"checkpoints/{EDGE}/1.note") == last.checkpoint
    assert list(tmp_path.glob(".*")) == []


def test_what_cannot_be_written_or_read_says_so(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    parts = PackParts({}, [Checkpoint(Origin(NAMESPACE, EDGE, 9), 3, b"\0" * 32)], {})
    with pytest.raises(EvidenceMissing, match="no leaf 2"):
        write_pack(tmp_path / "a.hakari", parts, world.evidence)
    with pytest.raises(PackNotWritten, match="cannot be written"):
        write_pack(tmp_path / "none" / "a.hakari", PackParts({}, [], {}), world.evidence)
    with pytest.raises(PackNotFound, match="cannot be read"):
        load(tmp_path / "a.hakari")
    assert issubclass(PackMalformed, DataProblem)
