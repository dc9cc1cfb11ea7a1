"""The first schema: projects with their revisions, periods with their statements, tokens.

The triggers hold the ledger's promise against any program that writes to the file: what a locked period
says never changes. They also stand against SQLite's REPLACE, which deletes without asking delete triggers.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_FINAL = "('locked', 'verified', 'issued', 'superseded')"
_CONTENT = ("zone", "result_json", "result_sha256", "statement", "supersedes", "computed_ms")
_KEYS = ("period_id", "project_id", "kind", "start_ms", "end_ms", "version")
_STEPS = (
    ("open", "closed"),
    ("open", "submitted"),
    ("closed", "submitted"),
    ("submitted", "locked"),
    ("locked", "verified"),
    ("verified", "issued"),
    ("locked", "superseded"),
    ("verified", "superseded"),
    ("issued", "superseded"),
)


def _differs(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in columns)


def _abort(name: str, when: str, sentence: str) -> str:
    return f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{sentence}'); END"


_ALLOWED = " OR ".join(f"(OLD.state = '{old}' AND NEW.state = '{new}')" for old, new in _STEPS)
_TRIGGERS = (
    _abort(
        "periods_begin",
        f"BEFORE INSERT ON periods WHEN NEW.state IN {_FINAL}",
        "a period begins open, closed or submitted",
    ),
    _abort(
        "periods_never_replaced",
        "BEFORE INSERT ON periods WHEN EXISTS (SELECT 1 FROM periods WHERE period_id = NEW.period_id OR ("
        "project_id = NEW.project_id AND kind = NEW.kind AND start_ms = NEW.start_ms AND end_ms = NEW.end_ms"
        " AND version = NEW.version))",
        "this version of the period exists",
    ),
    _abort(
        "periods_keep_their_key",
        f"BEFORE UPDATE ON periods WHEN {_differs(_KEYS)}",
        "id, project, span and version of a period never change",
    ),
    _abort(
        "periods_locked",
        f"BEFORE UPDATE ON periods WHEN OLD.state IN {_FINAL} AND ({_differs(_CONTENT)})",
        "a locked period never changes",
    ),
    _abort(
        "periods_step",
        f"BEFORE UPDATE ON periods WHEN NEW.state IS NOT OLD.state AND NOT ({_ALLOWED})",
        "a period goes from open to closed, submitted, locked, verified, issued and not back",
    ),
    _abort(
        "periods_locked_stay",
        f"BEFORE DELETE ON periods WHEN OLD.state IN {_FINAL}",
        "a locked period is never deleted",
    ),
    _abort(
        "revisions_never_replaced",
        "BEFORE INSERT ON project_revisions WHEN EXISTS (SELECT 1 FROM project_revisions"
        " WHERE project_id = NEW.project_id AND revision = NEW.revision)",
        "this revision of the project exists",
    ),
    _abort("revisions_never_change", "BEFORE UPDATE ON project_revisions", "a revision of a project never changes"),
    _abort("revisions_stay", "BEFORE DELETE ON project_revisions", "a revision of a project is never deleted"),
)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _ms(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Makes tables, indexes and triggers."""
    _projects()
    _periods()
    _tokens()
    if op.get_bind().dialect.name != "sqlite":
        raise NotImplementedError("the triggers of this revision are written for SQLite only")
    for trigger in _TRIGGERS:
        op.execute(trigger)


def _projects() -> None:
    op.create_table(
        "projects", sa.Column("project_id", sa.Text, primary_key=True, nullable=False), sqlite_with_rowid=False
    )
    op.create_table(
        "project_revisions",
        sa.Column("project_id", sa.Text, sa.ForeignKey("projects.project_id"), primary_key=True, nullable=False),
        sa.Column("revision", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        *map(_text, ("name", "country", "zone", "namespace")),
        *map(_text, ("methodology_code", "methodology_version", "methodology_sha256", "document", "document_sha256")),
        _ms("registered_ms"),
        sqlite_with_rowid=False,
    )


def _periods() -> None:
    op.create_table(
        "periods",
        sa.Column("period_id", sa.Text, primary_key=True, nullable=False),
        sa.Column("project_id", sa.Text, sa.ForeignKey("projects.project_id"), nullable=False),
        _text("kind"),
        _ms("start_ms"),
        _ms("end_ms"),
        _text("zone"),
        sa.Column("version", sa.Integer, nullable=False),
        *map(_text, ("state", "result_json", "result_sha256", "statement")),
        sa.Column("supersedes", sa.Text, sa.ForeignKey("periods.period_id"), nullable=True),
        _ms("computed_ms"),
        sa.UniqueConstraint("project_id", "kind", "start_ms", "end_ms", "version", name="one_version"),
        sa.CheckConstraint("kind IN ('month', 'year', 'custom')", name="known_kind"),
        sa.CheckConstraint(f"state IN ('open', 'closed', 'submitted', {_FINAL[1:]}", name="known_state"),
        sa.CheckConstraint("start_ms < end_ms", name="start_before_end"),
        sa.CheckConstraint(
            "(version = 1 AND supersedes IS NULL) OR (version > 1 AND supersedes IS NOT NULL)", name="chain"
        ),
        sa.CheckConstraint(
            "(state IN ('open', 'closed', 'submitted')) = (statement = '')", name="statement_when_locked"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("periods_by_start", "periods", ["project_id", "start_ms", "period_id"])


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("token_sha256", sa.Text, primary_key=True, nullable=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        _text("role"),
        sa.Column("projects", sa.JSON, nullable=False),
        _ms("created_ms"),
        _ms("expires_ms"),
        sa.Column("revoked", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    """There is no way back: a ledger is never thinned."""
    raise NotImplementedError("restore the backup made before the migration")
