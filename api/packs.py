"""The evidence packs of a folder, with the SHA-256 that is their ETag."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from hakari.ledger.types import PeriodRecord

SUFFIX = ".hakari"
MAX_KNOWN = 1000

_Version = tuple[int, int, int]


class Packs:
    """Packs by period; a file is hashed once for each of its versions, and never on the event loop."""

    def __init__(self, folder: Path | None) -> None:
        """In `folder`; None is a server without packs."""
        self._folder = folder
        self._known: OrderedDict[Path, tuple[_Version, str]] = OrderedDict()
        self._hashing = Lock()

    def path_of(self, period: PeriodRecord) -> Path | None:
        """The period's pack; its id is one that the ledger checked, so that it names a file and no folder."""
        if self._folder is None:
            return None
        path = self._folder / f"{period.period_id}{SUFFIX}"
        return path if path.is_file() else None

    async def sha256_of(self, path: Path) -> str:
        """The hash (hex) of the bytes in the file at `path`. Errors: OSError."""
        known = self._known.get(path)
        if known is not None and known[0] == _version(path):
            return known[1]
        return await asyncio.to_thread(self._hash, path)

    def _hash(self, path: Path) -> str:
        """In a worker thread; who asks for the same pack meanwhile waits here and finds it done."""
        with self._hashing:
            version = _version(path)
            known = self._known.get(path)
            if known is not None and known[0] == version:
                return known[1]
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._known[path] = (version, digest)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
            return digest


def _version(path: Path) -> _Version:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino
