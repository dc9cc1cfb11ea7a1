"""Where each adapter of the evidence log keeps it: opened again, altered by another hand, written by processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import msgspec
import psycopg

from hakari.postgres import PostgresSettings
from hakari.store.evidence import EvidenceLog
from hakari.store.evidence_postgres import PostgresEvidenceLog
from hakari.store.evidence_sqlite import Limits, SqliteEvidenceLog
from tests.system.postgres import PostgresServer

LIMITS = Limits(
    pending_bytes=1000, conflicts=3, conflict_bytes=100, quarantined=5, quarantine_bytes=100, payload_bytes=60
)


class Refused(Exception):
    """The store refused a statement of another hand."""


class Place(Protocol):
    """One evidence log, wherever it is."""

    def open(self, *, read_only: bool = False) -> EvidenceLog: ...

    def alter(self, *statements: str) -> None:
        """Runs statements as anybody with the file or the password could; Refused where the store refuses."""

    def words(self) -> str:
        """What the other processes of `WRITER` open: JSON."""


class SqlitePlace:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "evidence.db"

    def open(self, *, read_only: bool = False) -> EvidenceLog:
        return SqliteEvidenceLog(self.file, read_only=read_only, limits=LIMITS)

    def alter(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as db:
            for statement in statements:
                try:
                    db.execute(statement)
                except sqlite3.IntegrityError as error:
                    raise Refused(str(error)) from error

    def words(self) -> str:
        return msgspec.json.encode({"file": str(self.file)}).decode()


class PostgresPlace:
    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.settings: PostgresSettings = server.settings(folder)

    def open(self, *, read_only: bool = False) -> EvidenceLog:
        password = self.settings.password(self.folder / "ingest.toml")
        return PostgresEvidenceLog(self.settings, password, self.folder, read_only=read_only, limits=LIMITS)

    def alter(self, *statements: str) -> None:
        with self.server.connect() as db:
            db.execute(f"SET search_path = {self.settings.schema}")
            for statement in statements:
                try:
                    db.execute(statement)
                except psycopg.errors.RaiseException as error:
                    raise Refused(str(error)) from error

    def words(self) -> str:
        return msgspec.json.encode({"file": "", "postgresql": self.settings}).decode()


# Appends groups of leaves to every origin, in an order of its own, and prints the sizes that it has committed.
WRITER = textwrap.dedent("""
    import json, os, sys, msgspec
    from contextlib import closing
    from pathlib import Path
    from hakari.log.tree import extend, leaf_hash, root_of
    from hakari.names import Origin
    from hakari.postgres import PostgresSettings
    from hakari.store.evidence import StoredLeaf
    from hakari.store.opened import open_evidence

    given = json.loads(sys.argv[1])
    postgresql = msgspec.convert(given["postgresql"], PostgresSettings) if "postgresql" in given else None
    goal, group, order = int(sys.argv[2]), int(sys.argv[3]), [int(k) for k in sys.argv[4].split(",")]
    named, stale = sys.argv[5] == "named", sys.argv[6] == "stale"
    origins = [Origin("plant.example", f"sola-e{k}", 1700) for k in order]
    log = open_evidence(Path("x.toml"), given["file"], postgresql)
    won = lost = 0
    while won < goal:
        seen = {origin: log.head(origin) for origin in origins}
        with log.transaction(origins if named else ()):
            grown = 0
            for _ in range(group):
                for origin in origins:
                    head = seen[origin] if stale else log.head(origin)
                    body = f"{os.getpid()} {won + grown}".encode()
                    frontier = extend(head.frontier, head.size, leaf_hash(body))
                    leaf = StoredLeaf(head.size, leaf_hash(body), body, b"", 0)
                    if log.append(origin, head.size, leaf, frontier, root_of(frontier)):
                        grown += 1
                    else:
                        lost += 1
                    seen[origin] = log.head(origin)
            sizes = [log.head(origin).size for origin in sorted(origins)]
        won += grown
        print(json.dumps([sizes, lost]), flush=True)
    log.close()
""")


def writer(
    place: Place, leaves: int, group: int, order: Sequence[int] = (1,), *, named: bool = False, stale: bool = True
) -> subprocess.Popen[str]:
    """A process that appends until it has appended `leaves`; `stale`: as of heads seen before its transaction."""
    words = [place.words(), str(leaves), str(group), ",".join(map(str, order))]
    command = [sys.executable, "-c", WRITER, *words, "named" if named else "alone", "stale" if stale else "fresh"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
