"""The configuration in force, and another one at run time: settings and notes together, old against new. Reads files.

Guaranteed: settings that cannot be used, or that alter what an edge keeps for its whole life, leave the old ones in
force and are told in one sentence; where what was committed lies never changes under a running edge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge.commission.identity import (
    NOTE_SPOILT,
    Known,
    Note,
    identity_key,
    text_of_note,
    with_notes,
)
from edge.reads.cycle import check_cycles
from edge.settings import Settings, check_files, load_settings, metering_configuration
from edge.spool import Spool
from hakari.errors import Refused
from hakari.wire.configuration import MeteringConfiguration, parts_of, sha256_of, text_of
from hakari.wire.leaf import Event

CONFIGURATION = "configuration"
# What may be another one from one slot to the next; every other key of [edge] says who and where the edge is.
FREE_KEYS = ("interval_s", "batch_samples", "ring_days", "max_lag_s")
MAX_NAMES = 40


class RestartNeeded(Refused):
    """The settings change what a running edge cannot change."""


class InForce(NamedTuple):
    """A configuration, and its text as it is logged."""

    configuration: MeteringConfiguration
    text: str


def configuration_in_force(base: MeteringConfiguration, note: Note, unexamined: Collection[str] = ()) -> InForce:
    """What is logged and decoded by: the settings' meters with what the spool's notes say of them.

    `unexamined` are meters that have yet to show who they are. ConfigurationMalformed where it is too long to log.
    """
    configuration = with_notes(base, note, unexamined)
    return InForce(configuration, check_loggable(configuration))


def keep_spoilt(spool: Spool, meters: Sequence[str]) -> list[str]:
    """Suspends, for good, the meters whose identity note is spoilt; their ids.

    Otherwise the next examination would write a new note over it, and nobody would know that one was suspended.
    """
    found = [meter_id for meter_id in meters if spool.is_spoilt(identity_key(meter_id))]
    with spool.transaction():
        for meter_id in found:
            spool.put_note(identity_key(meter_id), text_of_note(Known({}, NOTE_SPOILT)))
    return found


def check_reload(old: Settings, new: Settings) -> None:
    """Returns when `new` may take the place of `old` at run time; RestartNeeded names the first key that forbids it."""
    for key in _fixed(old, new):
        raise RestartNeeded(f"{key} has changed, which needs a restart; the old settings stay in force until then")


class Reloaded(NamedTuple):
    """Settings that may take the place of others at the next slot, and their meters without what notes say of them."""

    settings: Settings
    base: MeteringConfiguration


def reread(config: Path, old: Settings, environ: Mapping[str, str], remote: str | None = None) -> Reloaded:
    """The settings file once more; a HakariError says why it cannot be used at run time.

    `remote` are meters and rates in place of those in its remote file.
    """
    new = load_settings(config, environ, remote)
    check_files(new, config.parent)
    check_reload(old, new)
    base = metering_configuration(new, config.parent)
    check_cycles(new, base)
    check_loggable(base)
    return Reloaded(new, base)


def _fixed(old: Settings, new: Settings) -> Iterator[str]:
    for key in msgspec.structs.asdict(old.edge):
        if key not in FREE_KEYS and getattr(old.edge, key) != getattr(new.edge, key):
            yield f"[edge].{key}"
    for table in ("broker", "clock"):
        for key in msgspec.structs.asdict(getattr(old, table)):
            if getattr(getattr(old, table), key) != getattr(getattr(new, table), key):
                yield f"[{table}].{key}"


def changed(old: MeteringConfiguration, new: MeteringConfiguration, wall_ms: int) -> Event:
    """The event that says what a new configuration changes."""
    before, after = ({meter.id: meter for meter in one.meters} for one in (old, new))
    data = {
        "before": sha256_of(text_of(old)),
        "after": sha256_of(text_of(new)),
        "added": _names(after.keys() - before.keys()),
        "removed": _names(before.keys() - after.keys()),
        "changed": _names(name for name in before.keys() & after.keys() if before[name] != after[name]),
        "interval_ms": "" if old.interval_ms == new.interval_ms else f"{old.interval_ms} {new.interval_ms}",
    }
    return Event(CONFIGURATION, wall_ms, {name: value for name, value in data.items() if value})


def _names(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - MAX_NAMES} more" if len(found) > MAX_NAMES else ""
    return " ".join(found[:MAX_NAMES]) + more


def check_loggable(configuration: MeteringConfiguration) -> str:
    """The text to log; ConfigurationMalformed where it is too long for that."""
    text = text_of(configuration)
    parts_of(text)
    return text
