"""The evidence packs of a folder: which result each states, and the SHA-256 that is its ETag."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from hakari.errors import DataProblem
from hakari.ledger.statement import peek_statement
from hakari.ledger.types import PeriodRecord
from hakari.pack.layout import STATEMENT

SUFFIX = ".hakari"
MAX_KNOWN = 1000
MAX_STATEMENT_BYTES = 1024 * 1024

_Version = tuple[int, int, int]


class Packs:
    """Packs by period; a file is hashed once for each of its versions, and never on the event loop."""

    def __init__(self, folder: Path | None) -> None:
        """In `folder`; None is a server without packs."""
        self._folder = folder
        self._known: OrderedDict[Path, tuple[_Version, str]] = OrderedDict()
        self._hashing = Lock()
        self._stated: OrderedDict[Path, tuple[_Version, str | None]] = OrderedDict()

    def path_of(self, period: PeriodRecord) -> Path | None:
        """The period's pack, where the one that is there states the very result that the ledger has."""
        path = self._file(period)
        return path if path is not None and self._result_of(path) == period.result_sha256 else None

    def is_outdated(self, period: PeriodRecord) -> bool:
        """Whether a pack is there, but of another result than the ledger's: evidence for another figure."""
        path = self._file(period)
        return path is not None and self._result_of(path) not in (None, period.result_sha256)

    def _file(self, period: PeriodRecord) -> Path | None:
        """Its id is one that the ledger checked, so that it names a file and no folder."""
        if self._folder is None:
            return None
        path = self._folder / f"{period.period_id}{SUFFIX}"
        return path if path.is_file() else None

    def _result_of(self, path: Path) -> str | None:
        """The SHA-256 (hex) of the result that a pack states, read once a version; None for what is no pack."""
        try:
            version = _version(path)
            known = self._stated.get(path)
            if known is not None and known[0] == version:
                return known[1]
            stated = _stated_result(path)
        except OSError:
            return None
        self._stated[path] = (version, stated)
        if len(self._stated) > MAX_KNOWN:
            self._stated.popitem(last=False)
        return stated

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


def _stated_result(path: Path) -> str | None:
    """From the statement alone, so that a list of periods costs no reading of leaves. Errors: OSError."""
    try:
        with ZipFile(path) as pack:
            entry = pack.getinfo(STATEMENT)
            if entry.compress_type != ZIP_STORED or entry.flag_bits or entry.file_size > MAX_STATEMENT_BYTES:
                return None
            return peek_statement(pack.read(entry)).result_sha256
    except (BadZipFile, NotImplementedError, KeyError, EOFError, DataProblem):
        return None


def _version(path: Path) -> _Version:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino
