"""What `hakari edge status` tells: the spool, read beside a running edge or after it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.settings import edge_id_of, load_settings
from edge.spool import LAST_SLOT, LINK, LINK_SINCE
from hakari.cli.output import table
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

    `last_slot_ms` is the newest slot whose sample is committed (0: none yet).
    """

    edge: str
    link: str
    link_since_ms: int
    last_slot_ms: int
    epochs: list[EpochStatus]
    not_stored_leaves: int
    waiting_samples: int


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
    )


def check_sampling(told: Status, interval_s: int, now_ms: int) -> None:
    """Nothing while the edge samples by the machine's clock; NotSampling after MISSED_SLOTS slots without a sample.

    Meters that do not answer and a broker that is away leave an edge sampling: both are in its leaves.
    """
    limit_s = max(MISSED_SLOTS * interval_s, MIN_SILENCE_S)
    if abs(now_ms - told.last_slot_ms) > limit_s * 1000:
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
            f"{told.not_stored_leaves} leaves not known as stored, {told.waiting_samples} samples in no leaf yet",
            table(("epoch", "leaves", "stored", "state"), rows, right=(0, 1, 2)),
        )
    )


def _sampled(told: Status) -> str:
    return f"sampled last at {_time_text(told.last_slot_ms)}" if told.last_slot_ms else "sampled nothing yet"


def _time_text(t_ms: int) -> str:
    return datetime.fromtimestamp(t_ms / 1000, UTC).isoformat()
