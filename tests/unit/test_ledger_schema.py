"""The database itself keeps a locked period, whoever writes to the file; metadata and migrations agree."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from hakari.store.ledger_sql import MIGRATIONS, BadLedgerUrl, LedgerUnavailable, SqlLedger, url_beside
from hakari.store.ledger_tables import REVISION, metadata

LOCKED = "p-1"
FORBIDDEN = [
    "UPDATE periods SET result_json = 'x' WHERE period_id = 'p-1'",
    "UPDATE periods SET statement = 'other' WHERE period_id = 'p-1'",
    "UPDATE periods SET computed_ms = 9 WHERE period_id = 'p-1'",
    "UPDATE periods SET state = 'open', statement = '' WHERE period_id = 'p-1'",
    "UPDATE periods SET state = 'issued' WHERE period_id = 'p-1'",
    "UPDATE periods SET end_ms = 99 WHERE period_id = 'p-1'",
    "UPDATE periods SET version = 7 WHERE period_id = 'p-1'",
    "DELETE FROM periods WHERE period_id = 'p-1'",
    "DELETE FROM periods",
    (
        "INSERT OR REPLACE INTO periods SELECT period_id, project_id, kind, start_ms, end_ms, zone, version,"
        " 'open', 'x', 'x', '', supersedes, 1 FROM periods WHERE period_id = 'p-1'"
    ),
    (
        "INSERT OR REPLACE INTO periods SELECT 'new-id', project_id, kind, start_ms, end_ms, zone, version,"
        " 'open', 'x', 'x', '', supersedes, 1 FROM periods WHERE period_id = 'p-1'"
    ),
    "UPDATE OR REPLACE periods SET period_id = 'p-1' WHERE period_id = 'p-2'",
    "UPDATE OR REPLACE periods SET start_ms = 1, end_ms = 2 WHERE period_id = 'p-2'",
    (
        "INSERT INTO periods SELECT 'p-3', project_id, kind, 5, 6, zone, version, state, 'x', 'x', statement,"
        " supersedes, 1 FROM periods WHERE period_id = 'p-1'"
    ),
    "UPDATE periods SET state = 'locked' WHERE period_id = 'p-2'",
    "UPDATE periods SET state = 'whatever' WHERE period_id = 'p-2'",
    "UPDATE project_revisions SET document = 'x'",
    "DELETE FROM project_revisions",
    (
        "INSERT OR REPLACE INTO project_revisions SELECT project_id, revision, name, country, zone, namespace,"
        " methodology_code, methodology_version, methodology_sha256, 'x', 'x', 1 FROM project_revisions"
    ),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "ledger.sqlite"
    ledger = SqlLedger(f"sqlite:///{made}")
    ledger.migrate()
    ledger.close()
    return made


@pytest.fixture
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """A foreign program's connection: none of our pragmas."""
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO projects VALUES ('p')")
    connection.execute("INSERT INTO project_revisions VALUES ('p',1,'n','VN','UTC','x.example','m','1','h','d','h',1)")
    for name, span in ((LOCKED, (1, 2)), ("p-2", (3, 4))):
        connection.execute(
            "INSERT INTO periods VALUES (?,'p','month',?,?,'UTC',1,'submitted','{}','h','',NULL,1)", (name, *span)
        )
    connection.execute("UPDATE periods SET state = 'locked', statement = 'signed' WHERE period_id = ?", (LOCKED,))
    connection.commit()
    yield connection
    connection.close()


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_no_program_alters_what_is_locked(raw: sqlite3.Connection, statement: str) -> None:
    def content() -> list[object]:
        return [raw.execute(f"SELECT * FROM {table}").fetchall() for table in ("periods", "project_revisions")]

    before = content()
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(statement)
    raw.rollback()
    assert content() == before


def test_every_trigger_is_needed(raw: sqlite3.Connection) -> None:
    """Without one of them at least one of the forbidden statements goes through."""
    triggers = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    assert len(triggers) == 9
    for name, text in triggers:
        raw.execute(f"DROP TRIGGER {name}")
        passed = 0
        for statement in FORBIDDEN:
            raw.execute("SAVEPOINT s")
            try:
                raw.execute(statement)
                passed += 1
            except sqlite3.IntegrityError:
                pass
            raw.execute("ROLLBACK TO s")
        assert passed, f"{name} forbids nothing that the others do not"
        raw.execute(text)


def test_metadata_and_migrations_agree(path: Path, tmp_path: Path) -> None:
    migrated = sa.create_engine(f"sqlite:///{path}")
    with migrated.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    made = sa.create_engine(f"sqlite:///{tmp_path / 'metadata.sqlite'}")
    metadata.create_all(made)
    query = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND name <> 'alembic_version'"
    with migrated.connect() as one, made.connect() as other:
        assert _texts(one, query) == _texts(other, query)
    migrated.dispose()
    made.dispose()


def _texts(connection: sa.Connection, query: str) -> dict[str, list[str]]:
    """Names and the words of their definitions; constraints may stand in any order."""
    rows = connection.exec_driver_sql(query).fetchall()
    return {
        f"{kind} {name}": sorted(line.strip().rstrip(",") for line in (text or "").splitlines())
        for kind, name, text in rows
        if "alembic" not in name
    }


def test_the_newest_migration_is_the_schema_of_this_release() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_every_connection_is_durable_and_checks_foreign_keys(path: Path) -> None:
    ledger = SqlLedger(f"sqlite:///{path}")
    with ledger._transaction() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    ledger.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize("url", ["", "ledger.sqlite", "sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://x/y"])
def test_an_address_that_cannot_be_opened_is_refused(url: str) -> None:
    with pytest.raises(BadLedgerUrl, match="sqlite:///"):
        SqlLedger(url)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not a database at all" * 100)
    for bad in ("x", "no/such/folder/x"):
        with pytest.raises(LedgerUnavailable, match="cannot be used"):
            SqlLedger(f"sqlite:///{tmp_path / bad}").migrate()


def test_a_ledger_without_or_with_another_schema_is_not_ready(path: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable):
        SqlLedger(f"sqlite:///{tmp_path / 'empty.sqlite'}").ping()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    ledger = SqlLedger(f"sqlite:///{path}")
    with pytest.raises(LedgerUnavailable, match="schema 9999"):
        ledger.ping()
    with pytest.raises(LedgerUnavailable, match="update hakari"):
        ledger.migrate()


def test_a_relative_path_lies_beside_the_settings_file() -> None:
    assert url_beside(Path("/etc/hakari/api.toml"), "sqlite:///ledger.sqlite") == "sqlite:////etc/hakari/ledger.sqlite"
    assert url_beside(Path("/etc/hakari/api.toml"), "sqlite:////var/l.db") == "sqlite:////var/l.db"
    assert url_beside(Path("/etc/hakari/api.toml"), "postgresql://x/y") == "postgresql://x/y"
