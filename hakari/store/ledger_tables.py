"""The ledger's tables as SQLAlchemy sees them; `hakari/store/migrations` makes them, a test compares the two."""

from __future__ import annotations

import sqlalchemy as sa

REVISION = "0001"
"""The schema that this release needs: the newest revision under `hakari/store/migrations/versions`."""

STATES = ("open", "closed", "submitted", "locked", "verified", "issued", "superseded")

metadata = sa.MetaData()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _ms(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


# Without row ids a locked row has no second key under which `INSERT OR REPLACE` could overwrite it.
projects = sa.Table(
    "projects",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True, nullable=False),
    sqlite_with_rowid=False,
)

project_revisions = sa.Table(
    "project_revisions",
    metadata,
    sa.Column("project_id", sa.Text, sa.ForeignKey("projects.project_id"), primary_key=True, nullable=False),
    sa.Column("revision", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
    _text("name"),
    _text("country"),
    _text("zone"),
    _text("namespace"),
    _text("methodology_code"),
    _text("methodology_version"),
    _text("methodology_sha256"),
    _text("document"),
    _text("document_sha256"),
    _ms("registered_ms"),
    sqlite_with_rowid=False,
)

periods = sa.Table(
    "periods",
    metadata,
    sa.Column("period_id", sa.Text, primary_key=True, nullable=False),
    sa.Column("project_id", sa.Text, sa.ForeignKey("projects.project_id"), nullable=False),
    _text("kind"),
    _ms("start_ms"),
    _ms("end_ms"),
    _text("zone"),
    sa.Column("version", sa.Integer, nullable=False),
    _text("state"),
    _text("result_json"),
    _text("result_sha256"),
    _text("statement"),
    sa.Column("supersedes", sa.Text, sa.ForeignKey("periods.period_id"), nullable=True),
    _ms("computed_ms"),
    sa.UniqueConstraint("project_id", "kind", "start_ms", "end_ms", "version", name="one_version"),
    sa.CheckConstraint(_one_of("kind", ("month", "year", "custom")), name="known_kind"),
    sa.CheckConstraint(_one_of("state", STATES), name="known_state"),
    sa.CheckConstraint("start_ms < end_ms", name="start_before_end"),
    sa.CheckConstraint(
        "(version = 1 AND supersedes IS NULL) OR (version > 1 AND supersedes IS NOT NULL)", name="chain"
    ),
    sa.CheckConstraint(f"({_one_of('state', STATES[:3])}) = (statement = '')", name="statement_when_locked"),
    sqlite_with_rowid=False,
)
sa.Index("periods_by_start", periods.c.project_id, periods.c.start_ms, periods.c.period_id)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("token_sha256", sa.Text, primary_key=True, nullable=False),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    _text("role"),
    sa.Column("projects", sa.JSON, nullable=False),
    _ms("created_ms"),
    _ms("expires_ms"),
    sa.Column("revoked", sa.Boolean, nullable=False),
)
