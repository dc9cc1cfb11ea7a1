"""Alarms and what webhooks are still owed, in a SQLite file of ingest's own: operations, never evidence.

Guaranteed: what a minute changed and the messages that tell of it are kept together or not at all, so that a restart
neither forgets nor repeats an alarm; messages are bounded, the oldest are dropped first and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hakari.store.sqlite import Database, Schema, StoreFailed
from ingest.watch.alarms import Alarm, Alarms, Change, Subject

MAX_OWED = 1000
MAX_HISTORY = 10_000
MAX_SEEN = 10_000


class AlarmStoreFailed(StoreFailed):
    """The file of alarms cannot be written or read."""


SCHEMA = Schema(
    "alarms",
    1,
    (
        """CREATE TABLE standing (
            kind TEXT NOT NULL, name TEXT NOT NULL, detail TEXT NOT NULL, since_ms INTEGER NOT NULL, raised_ms INTEGER,
            going INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (kind, name)
        ) WITHOUT ROWID""",
        """CREATE TABLE history (
            n INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL, at_ms INTEGER NOT NULL, cleared INTEGER NOT NULL,
            kind TEXT NOT NULL, name TEXT NOT NULL, detail TEXT NOT NULL
        )""",
        """CREATE TABLE owed (
            n INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, message_id TEXT NOT NULL, body TEXT NOT NULL,
            tries INTEGER NOT NULL, again_s REAL NOT NULL
        )""",
        "CREATE TABLE kept (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
    "FULL",
    AlarmStoreFailed,
)


class Told(NamedTuple):
    """One line of the history: an alarm that was raised or cleared."""

    id: int
    at_ms: int
    cleared: bool
    subject: Subject
    detail: str


class Owed(NamedTuple):
    """A message that a webhook has not taken yet; `again_s` is when to try, in machine time since 1970."""

    n: int
    url: str
    message_id: str
    body: str
    tries: int
    again_s: float


class Message(NamedTuple):
    """What is to be sent to `url`."""

    url: str
    message_id: str
    body: str


class AlarmStore:
    """The file, in the hands of one thread; another one opens it for itself."""

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self._db = Database(path, SCHEMA, read_only=read_only)

    def load(self) -> Alarms:
        """The alarms as they stood."""
        rows = self._db.all("SELECT kind, name, detail, since_ms, raised_ms, going, id FROM standing")
        last = self._db.one("SELECT max(id) FROM history")
        return Alarms(
            [
                Alarm(Subject(kind, name), detail, since, at, bool(going), n)
                for kind, name, detail, since, at, going, n in rows
            ],
            1 + ((last[0] or 0) if last else 0),
        )

    def save(
        self, before: Mapping[Subject, Alarm], alarms: Alarms, changes: Sequence[Change], told: Iterable[Message]
    ) -> None:
        """Keeps what is another than `before`, the changes, and the messages that are owed for them."""
        new = [one for subject, one in alarms.standing.items() if before.get(subject) != one]
        gone = [subject for subject in before if subject not in alarms.standing]
        if not (new or gone or changes):
            return
        with self._db.transaction():
            self._db.run_many("DELETE FROM standing WHERE kind = ? AND name = ?", gone)
            self._db.run_many(
                "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(*one.subject, one.detail, one.since_ms, one.raised_ms, int(one.going), one.id) for one in new],
            )
            self._db.run_many(
                "INSERT INTO history (id, at_ms, cleared, kind, name, detail) VALUES (?, ?, ?, ?, ?, ?)",
                [(c.alarm.id, c.at_ms, int(c.cleared), *c.alarm.subject, c.alarm.detail) for c in changes],
            )
            self._db.run("DELETE FROM history WHERE n <= (SELECT max(n) FROM history) - ?", (MAX_HISTORY,))
            self._db.run_many(
                "INSERT INTO owed (url, message_id, body, tries, again_s) VALUES (?, ?, ?, 0, 0)", list(told)
            )
            dropped = self._db.run(
                "DELETE FROM owed WHERE n IN (SELECT n FROM owed ORDER BY n DESC LIMIT -1 OFFSET ?)", (MAX_OWED,)
            )
            if dropped:
                self._put("dropped", str(self.dropped + dropped))

    @property
    def dropped(self) -> int:
        """How many messages were given up, for want of room or because nobody took them."""
        return int(self.kept("dropped") or 0)

    def history(self, limit: int) -> list[Told]:
        """The newest first."""
        rows = self._db.all(
            "SELECT id, at_ms, cleared, kind, name, detail FROM history ORDER BY n DESC LIMIT ?", (limit,)
        )
        return [Told(n, at, bool(cleared), Subject(kind, name), detail) for n, at, cleared, kind, name, detail in rows]

    def owed(self, now_s: float, limit: int) -> list[Owed]:
        """Messages whose time has come, of each webhook the oldest alone, so that they arrive in order."""
        rows = self._db.all(
            "SELECT n, url, message_id, body, tries, again_s FROM owed"
            " WHERE n IN (SELECT min(n) FROM owed GROUP BY url) AND again_s <= ? LIMIT ?",
            (now_s, limit),
        )
        return [Owed(*row) for row in rows]

    def owed_count(self) -> int:
        """How many messages wait."""
        row = self._db.one("SELECT count(*) FROM owed")
        return int(row[0]) if row else 0

    def delivered(self, one: Owed) -> None:
        """It was taken."""
        with self._db.transaction():
            self._db.run("DELETE FROM owed WHERE n = ?", (one.n,))

    def again(self, one: Owed, again_s: float) -> None:
        """It was not taken, and is to be tried at `again_s`."""
        with self._db.transaction():
            self._db.run("UPDATE owed SET tries = tries + 1, again_s = ? WHERE n = ?", (again_s, one.n))

    def give_up(self, one: Owed) -> None:
        """It will not be tried any more; counted."""
        with self._db.transaction():
            self._db.run("DELETE FROM owed WHERE n = ?", (one.n,))
            self._put("dropped", str(self.dropped + 1))

    def kept(self, name: str) -> str:
        """A text that was kept under `name`, "" where there is none."""
        row = self._db.one("SELECT value FROM kept WHERE name = ?", (name,))
        return str(row[0]) if row else ""

    def _put(self, name: str, value: str) -> None:
        self._db.run("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Releases the file."""
        self._db.close()
