"""What `hakari edge status` tells: the spool, read beside a running edge or after it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.buffer import FULL, MB, free_bytes, is_full, stopped_text
from edge.held import BOOT_DIGITS
from edge.reload import configuration_in_force
from edge.settings import Settings, edge_id_of, load_settings, metering_configuration
from edge.spool import LAST_SLOT, LINK, LINK_SINCE
from edge.spool_peek import Peek, SpoolUnread, opened, peek
from edge.status_meters import MeterStatus, identity_of, meters_status, state_of
from edge.timing import BOOT, CLOCK, LAST_MONO, boot_of
from hakari.clock import SystemClock
from hakari.errors import HakariError, NotReachable
from hakari.mqtt import Link
from hakari.settings import beside
from hakari.wire.envelope import EnvelopeMalformed, inflate
from hakari.wire.leaf import LeafMalformed, Sample, decode

MISSED_SLOTS = 3
MIN_SILENCE_S = 60
# How far back a meter's last answer is looked for.
MAX_SAMPLES = 100
MAX_LEAVES = 400

_WORDS: dict[int, str] = {
    Link.UNTRIED: "not tried yet",
    Link.CONNECTED: "connected",
    Link.UNREACHABLE: "broker not reachable",
    Link.REFUSED: "refused by the broker (user, password or certificate)",
    Link.UNHEARD: "the broker does not let us hear marks (access list)",
    Link.STOPPED: "stopped",
    Link.ENDED: "connections are ended at once (another client with this id?)",
}


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
    machine's monotonic clock, None where the edge has not sampled since the machine started. `spoilt` names what the
    disk no longer holds as it was written; it counts as not there. `stopped` says why nothing is sampled for want of
    room, `meters_unread` why `meters` are not told.
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
    spoilt: list[str] = []
    stopped: str = ""
    meters: list[MeterStatus] = []
    meters_unread: str = ""


def status(config: Path) -> Status:
    """The status of the edge with the settings file `config`; SpoolUnread where it has not run yet."""
    told = load_settings(config, os.environ)
    path = beside(config, told.edge.spool)
    if not path.is_file():
        raise SpoolUnread(f"there is no spool {path} yet; start the edge: hakari edge run {config}")
    found = peek(path)
    numbers = found.numbers
    listed = [EpochStatus(*one) for one in found.epochs]
    meters, unread = _meters(told, config.parent, path, found)
    return Status(
        edge=edge_id_of(told),
        link=_WORDS.get(numbers.get(LINK, 0), _WORDS[Link.UNTRIED]),
        link_since_ms=numbers.get(LINK_SINCE, 0),
        last_slot_ms=numbers.get(LAST_SLOT, 0),
        epochs=listed,
        not_stored_leaves=sum(one.size - one.mark for one in listed if not one.closed),
        waiting_samples=found.waiting_samples,
        clock=found.note(CLOCK),
        held_samples=found.held_samples,
        sampled_ago_s=_ago_s(found.note(BOOT), numbers.get(LAST_MONO, 0)),
        spoilt=found.spoilt,
        stopped=no_room(told, path, was_full=bool(numbers.get(FULL, 0))),
        meters=meters,
        meters_unread=unread,
    )


def no_room(told: Settings, spool: Path, *, was_full: bool) -> str:
    """Why an edge with these settings samples nothing on the disk of `spool`, "" where there is room."""
    reserve, free = told.edge.min_free_mb * MB, free_bytes(spool.parent)
    return stopped_text(reserve, free) if is_full(reserve, free, was_full=was_full) else ""


def _meters(told: Settings, folder: Path, spool: Path, found: Peek) -> tuple[list[MeterStatus], str]:
    """The meters, or why they cannot be told: the rest of the status is told all the same."""
    try:
        configuration = configuration_in_force(metering_configuration(told, folder), found.note).configuration
        return meters_status(configuration, found.note, _newest(spool)), ""
    except HakariError as error:
        return [], str(error)
    except sqlite3.Error as error:
        return [], f"the spool cannot be read: {error}"


def _newest(path: Path) -> Iterator[Sample]:
    """Committed samples, the newest first, as far back as is cheap; what cannot be read is left out."""
    with opened(path) as db:
        for (body,) in db.execute("SELECT body FROM sample ORDER BY id DESC LIMIT ?", (MAX_SAMPLES,)):
            with contextlib.suppress(msgspec.MsgspecError):
                yield msgspec.json.decode(body, type=Sample)
        for (deflated,) in db.execute("SELECT deflated FROM leaf ORDER BY epoch DESC, i DESC LIMIT ?", (MAX_LEAVES,)):
            samples: list[Sample] = []
            with contextlib.suppress(EnvelopeMalformed, LeafMalformed):
                samples = decode(inflate(deflated)).samples
            yield from reversed(samples)


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
    if told.stopped:
        raise NotSampling(f"{told.edge}: {told.stopped}; free space on the spool's disk")
    limit_s = max(MISSED_SLOTS * interval_s, MIN_SILENCE_S)
    why = "it has just started, does not run, or hangs; look at its log"
    if not told.last_slot_ms and told.sampled_ago_s is None:
        raise NotSampling(f"{told.edge} sampled nothing yet: {why}")
    ago_s = abs(now_ms - told.last_slot_ms) / 1000 if told.sampled_ago_s is None else told.sampled_ago_s
    if ago_s > limit_s:
        raise NotSampling(f"{told.edge} {_sampled(told)}, and nothing in the {limit_s} s before now: {why}")


def shown(told: Status) -> str:
    """`told` for a person."""
    from hakari.cli.output import table  # noqa: PLC0415 - a running edge answers from this module, without Click

    since = _time_text(told.link_since_ms) if told.link_since_ms else "never noted"
    rows = [(one.epoch, one.size, one.mark, "closed" if one.closed else "") for one in told.epochs]
    return "\n".join(
        (
            f"{told.edge}: {told.link} (since {since})",
            _sampled(told),
            *([told.stopped] if told.stopped else ()),
            *_clock_lines(told),
            f"{told.not_stored_leaves} leaves not known as stored, {told.waiting_samples} samples in no leaf yet",
            *(f"damaged on disk: {one}" for one in told.spoilt),
            table(("epoch", "leaves", "stored", "state"), rows, right=(0, 1, 2)),
            *_meter_lines(told, table),
        )
    )


def _meter_lines(told: Status, table: Callable[..., str]) -> list[str]:
    if not told.meters:
        return [f"meters: not told, {told.meters_unread}"] if told.meters_unread else []
    rows = [
        (one.meter, one.bus, one.unit, _time_text(one.last_answer_ms) if one.last_answer_ms else "",
         f"{one.counting} of {one.measured}", identity_of(one), state_of(one, _since(one)))
        for one in told.meters
    ]  # fmt: skip
    head = ("meter", "bus", "unit", "last answer", "points that count", "identity", "state")
    return ["", table(head, rows, right=(2,))]


def _since(one: MeterStatus) -> str:
    return f"since {_time_text(one.silent_since_ms)}" + ("" if one.last_answer_ms else " or before")


def _clock_lines(told: Status) -> list[str]:
    few = "1 sample is" if told.held_samples == 1 else f"{told.held_samples} samples are"
    held = f", {few} held until the time is known" if told.held_samples else ""
    return [f"clock {told.clock}{held}"] if told.clock else []


def _sampled(told: Status) -> str:
    if told.held_samples and told.sampled_ago_s is not None:
        return f"sampled {told.sampled_ago_s:.0f} s ago, held until the time is known"
    return f"sampled last at {_time_text(told.last_slot_ms)}" if told.last_slot_ms else "sampled nothing yet"


def _time_text(t_ms: int) -> str:
    return datetime.fromtimestamp(t_ms / 1000, UTC).isoformat()
