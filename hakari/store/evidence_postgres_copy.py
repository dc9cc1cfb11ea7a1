"""The evidence log in PostgreSQL filled from a backup's file, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hakari.postgres import PostgresSettings
from hakari.store.evidence import Decision
from hakari.store.evidence_copy import HIGHEST_MESSAGE, TABLES, PlaceTaken, Progress, Tables, rows_of
from hakari.store.evidence_postgres import PostgresEvidenceLog

NUMBERED = ("origin", "pending", "conflict", "quarantine", "decision")


@contextmanager
def opened_tables(settings: PostgresSettings, password: str, folder: Path) -> Iterator[Tables]:
    """The tables of a log, only read; errors as of opening the log."""
    with closing(PostgresEvidenceLog(settings, password, folder, read_only=True)) as log:
        yield log.database


def restore(
    settings: PostgresSettings,
    password: str,
    folder: Path,
    source: Tables,
    decision: Decision,
    moved_to: str,
    progress: Progress,
) -> str:
    """Fills the log's schema from `source` and records `decision`, all or nothing.

    What is there is kept in a schema of that name with `moved_to` behind it, which is returned; without `moved_to` the
    log must be empty. Errors: PlaceTaken where it is not, or where anybody else has it open.
    """
    with closing(PostgresEvidenceLog(settings, password, folder)) as log:
        if not log.database.take_alone():
            raise PlaceTaken(f"evidence log {log.database.name} is in use; stop ingest, calc and api first")
        used = [table for table in TABLES if table != "quarantine_total" and log.database.one(_ANY[table])]
        if used and not moved_to:
            raise PlaceTaken(
                f"evidence log {log.database.name} is not empty; say --replace to move it away, or name another schema"
            )
        with log.transaction():
            log.database.run("SET LOCAL statement_timeout = 0")
            moved = log.database.make_again(moved_to) if used else ""
            log.database.run("DELETE FROM quarantine_total")
            with source.snapshot():
                for table, columns in TABLES.items():
                    log.database.copy_in(table, columns, rows_of(source, table, progress))
            for table in NUMBERED:
                log.database.all(f"SELECT setval('{table}_id_seq', (SELECT coalesce(max(id), 1) FROM {table}))")  # noqa: S608
            log.database.all(f"SELECT setval('quarantine_id_seq', ({HIGHEST_MESSAGE}))")
            log.decide(decision)
    return moved


_ANY = {table: f"SELECT 1 FROM {table} LIMIT 1" for table in TABLES}  # noqa: S608 - our own names
