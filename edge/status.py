"""What `hakari edge status` tells: the spool, read beside a running edge or after it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.held import BOOT_DIGITS
from edge.settings import edge_id_of, load_settings
from edge.spool import LAST_SLOT, LINK, LINK_SINCE
from edge.spool_schema import FORMAT
from edge.timing import BOOT, CLOCK, LAST_MONO, boot_of
from hakari.cli.output import table
from hakari.clock import UNSYNCHRONISED, SystemClock
from hakari.errors import NotReachable
from hakari.mqtt import Link
from hakari.settings import beside

MISSED_SLOTS = 3
MIN_SILENCE_S = 60

_WORDS = {
    Link.UNTRIED: "not tried yet",
    Link.CONNECTED: "connected",
    Link.UNREACHABLE: "broker not reachable",
    Link.REFUSED: "refused by the broker (user or password)",
    Link.UNHEARD: "the broker does not let us hear marks (access list)",
    Link.STOPPED: "stopped",
}


class SpoolUnread(NotReachable):
    """There is no spool to read, or it cannot be read."""


class NotSampling(NotReachable):
    """No slot was sampled for longer than an edge that works ever takes."""


class EpochStatus(msgspec.Struct, frozen=True):
    """One epoch: leaves signed, leaves known as stored, and whether it was closed by a fork."""

    epoch: int
    size: int
    mark: int
    closed: bool


class Status(msgspec.Struct, frozen=True):
    """`link` is how the edge stood with its broker when it last noted it, at `link_since_ms` (0: never).

    `last_slot_ms` is the newest slot whose sample is committed (0: none yet). `clock` is the state of the clock under
    which a sample was committed last, `held_samples` wait until the time is known; `sampled_ago_s` counts on the
    machine's monotonic clock, None where the edge has not sampled since the machine started.
    """

    edge: str
    link: str
    link_since_ms: int
    last_slot_ms: int
    epochs: list[EpochStatus]
    not_stored_leaves: int
    waiting_samples: int
    clock: str = ""
    held_samples: int = 0
    sampled_ago_s: float | None = None


def status(config: Path) -> Status:
    """The status of the edge with the settings file `config`; SpoolUnread where it has not run yet."""
    told = load_settings(config, os.environ)
    path = beside(config, told.edge.spool)
    if not path.is_file():
        raise SpoolUnread(f"there is no spool {path} yet; start the edge: hakari edge run {config}")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as spool:
            epochs = spool.execute("SELECT epoch, size, mark, closed FROM epoch ORDER BY epoch").fetchall()
            waiting = spool.execute("SELECT count(*) FROM sample").fetchone()[0]
            numbers = dict(spool.execute("SELECT key, value FROM state").fetchall())
            notes, held = _of_the_clock(spool)
    except sqlite3.Error as error:
        raise SpoolUnread(f"spool {path} cannot be read: {error}; check [edge].spool") from error
    listed = [EpochStatus(epoch, size, mark, bool(closed)) for epoch, size, mark, closed in epochs]
    return Status(
        edge=edge_id_of(told),
        link=_WORDS[Link(numbers.get(LINK, 0))],
        link_since_ms=numbers.get(LINK_SINCE, 0),
        last_slot_ms=numbers.get(LAST_SLOT, 0),
        epochs=listed,
        not_stored_leaves=sum(one.size - one.mark for one in listed if not one.closed),
        waiting_samples=waiting,
        clock=notes.get(CLOCK, ""),
        held_samples=held,
        sampled_ago_s=_ago_s(notes.get(BOOT, ""), numbers.get(LAST_MONO, 0)),
    )


def _of_the_clock(spool: sqlite3.Connection) -> tuple[dict[str, str], int]:
    """The notes about the time, and how many samples are held; nothing of a spool that an older release left."""
    if spool.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
        return {}, 0
    notes = dict(spool.execute("SELECT key, value FROM note WHERE key IN (?,?)", (CLOCK, BOOT)).fetchall())
    held = spool.execute("SELECT count(*) FROM sample WHERE sync=?", (UNSYNCHRONISED,)).fetchone()[0]
    return notes, held


def _ago_s(boot: str, last_mono_ms: int) -> float | None:
    """Seconds since the last sample, told by a clock that nobody sets."""
    machine = SystemClock()
    if not last_mono_ms or boot_of(boot) != machine.boot[:BOOT_DIGITS]:
        return None
    return (machine.now().mono_ms - last_mono_ms) / 1000


def check_sampling(told: Status, interval_s: int, now_ms: int) -> None:
    """Nothing while the edge samples by the machine's clock; NotSampling after MISSED_SLOTS slots without a sample.

    Meters that do not answer and a broker that is away leave an edge sampling: both are in its leaves.
    """
    limit_s = max(MISSED_SLOTS * interval_s, MIN_SILENCE_S)
    ago_s = abs(now_ms - told.last_slot_ms) / 1000 if told.sampled_ago_s is None else told.sampled_ago_s
    if ago_s > limit_s:
        raise NotSampling(
            f"{told.edge} {_sampled(told)}, limit {limit_s} s ago: it has just started, does not run, or hangs;"
            " look at its log"
        )


def shown(told: Status) -> str:
    """`told` for a person."""
    since = _time_text(told.link_since_ms) if told.link_since_ms else "never noted"
    rows = [(one.epoch, one.size, one.mark, "closed" if one.closed else "") for one in told.epochs]
    return "\n".join(
        (
            f"{told.edge}: {told.link} (since {since})",
            _sampled(told),
            *_clock_lines(told),
            f"{told.not_stored_leaves} leaves not known as stored, {told.waiting_samples} samples in no leaf yet",
            table(("epoch", "leaves", "stored", "state"), rows, right=(0, 1, 2)),
        )
    )


def _clock_lines(told: Status) -> list[str]:
    held = f", {told.held_samples} samples are held until the time is known" if told.held_samples else ""
    return [f"clock {told.clock}{held}"] if told.clock else []


def _sampled(told: Status) -> str:
    return f"sampled last at {_time_text(told.last_slot_ms)}" if told.last_slot_ms else "sampled nothing yet"


def _time_text(t_ms: int) -> str:
    return datetime.fromtimestamp(t_ms / 1000, UTC).isoformat()
