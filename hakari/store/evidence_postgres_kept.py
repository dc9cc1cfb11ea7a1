"""What the evidence log in PostgreSQL keeps beside leaves: the quarantine and people's decisions."""

from __future__ import annotations

from hakari.store.evidence import DECISIONS, Decision, Quarantined, QuarantineTotal
from hakari.store.evidence_sqlite import MAX_ID, MAX_REASON_CHARS, Limits
from hakari.store.postgres import Database
from hakari.store.quarantine_room import Entry, to_drop
from hakari.store.sqlite import StoreMisused


class Kept:
    """The part of the log that belongs to no origin; every write needs a transaction."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._db = database
        self._limits = limits

    @property
    def database(self) -> Database:
        """The connection itself, for what copies the log whole."""
        return self._db

    def quarantine(self, source: str, reason: str, payload: bytes, received_ms: int) -> None:
        """Keeps something that could not be taken; the newest wins, what was dropped is counted."""
        if len(payload) > self._limits.payload_bytes:
            reason = f"{reason[:MAX_REASON_CHARS]} (the first {self._limits.payload_bytes} of {len(payload)} bytes)"
            payload = payload[: self._limits.payload_bytes]
        self._db.run(
            "INSERT INTO quarantine (received_ms, source, reason, payload) VALUES (%s, %s, %s, %s)",
            (received_ms, _text(source[:MAX_REASON_CHARS]), _text(reason[: 2 * MAX_REASON_CHARS]), payload),
        )
        self._db.run("UPDATE quarantine_total SET kept = kept + 1, bytes = bytes + %s", (len(payload),))
        self._shrink_quarantine()

    def quarantined(self, limit: int = 100, before: int | None = None) -> list[Quarantined]:
        """The newest first; with `before` only those with a smaller id."""
        rows = self._db.all(
            "SELECT id, received_ms, source, reason, payload FROM quarantine WHERE id < %s ORDER BY id DESC LIMIT %s",
            (MAX_ID if before is None else min(before, MAX_ID), limit),
        )
        return [Quarantined(*row) for row in rows]

    def quarantined_entry(self, entry_id: int) -> Quarantined | None:
        """The quarantined payload of that id, while it is kept."""
        row = self._db.one(
            "SELECT id, received_ms, source, reason, payload FROM quarantine WHERE id = %s", (min(entry_id, MAX_ID),)
        )
        return None if row is None else Quarantined(*row)

    def quarantine_total(self) -> QuarantineTotal:
        """What the quarantine holds and what it had to drop."""
        return QuarantineTotal(*self._db.all("SELECT kept, bytes, dropped FROM quarantine_total")[0])

    def drop_quarantined(self, entry_id: int) -> bool:
        """Takes a payload out of the quarantine after its decision was recorded; False where it is not kept."""
        return self._drop_quarantined(entry_id, dropped=0)

    def decide(self, decision: Decision) -> None:
        """Records a decision; it is never changed or deleted."""
        if decision.kind not in DECISIONS:
            raise StoreMisused(f"{decision.kind!r} is no kind of decision")
        values = [_text(value) if isinstance(value, str) else value for value in decision]
        self._db.run(
            "INSERT INTO decision (at_ms, kind, subject, who, why, detail) VALUES (%s, %s, %s, %s, %s, %s)", values
        )

    def decisions(self, kind: str = "", subject: str = "") -> list[Decision]:
        """Decisions in the order of their recording; of one kind or about one subject where these are given."""
        rows = self._db.all(
            "SELECT at_ms, kind, subject, who, why, detail FROM decision"
            " WHERE (%s::text = '' OR kind = %s) AND (%s::text = '' OR subject = %s) ORDER BY id",
            (kind, kind, subject, subject),
        )
        return [Decision(*row) for row in rows]

    def _shrink_quarantine(self) -> None:
        total, limits = self.quarantine_total(), self._limits
        if total.kept <= limits.quarantined and total.bytes <= limits.quarantine_bytes:
            return
        entries = [Entry(*row) for row in self._db.all("SELECT id, source, length(payload) FROM quarantine")]
        for entry_id in to_drop(entries, limits.quarantined, limits.quarantine_bytes):
            self._drop_quarantined(entry_id, dropped=1)

    def _drop_quarantined(self, entry_id: int, dropped: int) -> bool:
        self._db.check_writing()
        rows = self._db.all("DELETE FROM quarantine WHERE id = %s RETURNING length(payload)", (entry_id,))
        for row in rows:
            self._db.run(
                "UPDATE quarantine_total SET kept = kept - 1, bytes = bytes - %s, dropped = dropped + %s",
                (row[0], dropped),
            )
        return bool(rows)


def _text(value: str) -> str:
    """Text as PostgreSQL can hold it: without the character NUL and without halves of characters."""
    return value.replace("\0", "\ufffd").encode(errors="replace").decode()
