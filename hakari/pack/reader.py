"""Reading a pack: strict and bounded, before anything in it is believed.

Guaranteed of what `read` returns: the container is in its one form, the manifest lists exactly its entries,
every single entry is there, and leaves and checkpoints come in pairs. Nothing is said yet about signatures.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hakari.errors import BadConfiguration
from hakari.pack.container import MAX_PACK_BYTES, PackMalformed, parse
from hakari.pack.layout import SINGLE, check_manifest, names_of
from hakari.smallfile import TooLarge, read_bytes


class PackNotFound(BadConfiguration):
    """There is no pack to read at that path."""


class Place(NamedTuple):
    """One log in a pack."""

    edge_id: str
    epoch: int


class Pack(NamedTuple):
    """Contents by name, and the logs that it holds ordered by edge id and epoch."""

    contents: dict[str, memoryview]
    places: list[Place]

    def bytes_of(self, name: str) -> bytes:
        """The content of entry `name`; empty where there is none."""
        return bytes(self.contents.get(name, b""))


def load(path: Path) -> bytes:
    """The bytes of the pack at `path`; PackNotFound or PackMalformed otherwise."""
    try:
        return read_bytes(path, MAX_PACK_BYTES)
    except TooLarge as error:
        raise PackMalformed(f"pack {path} is larger than {MAX_PACK_BYTES} bytes") from error
    except OSError as error:
        raise PackNotFound(f"pack {path} cannot be read: {error.strerror}; check the path given") from error


def read(data: bytes) -> Pack:
    """The pack in `data`; PackMalformed names the entry that is wrong."""
    contents = parse(data)
    for name in SINGLE:
        if name not in contents:
            raise PackMalformed(f"pack has no entry {name}")
    check_manifest(contents)
    places = sorted(_place(name) for name in contents if name.startswith("leaves/"))
    expected = {names_of(*place).checkpoint for place in places}
    marks = {names_of(*place).mark for place in places}
    for name in contents:
        if name.startswith("checkpoints/") and name not in expected | marks:
            raise PackMalformed(f"pack entry {name} has no leaves")
    for name in sorted(expected):
        if name not in contents:
            raise PackMalformed(f"pack has no entry {name}")
    return Pack(contents, places)


def _place(name: str) -> Place:
    _, edge_id, file = name.split("/")
    return Place(edge_id, int(file.removesuffix(".leaves")))
