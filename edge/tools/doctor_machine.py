"""The doctor's checks of the machine: settings and files, clock, spool, versions. Changes nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edge.buffer import FULL, MB
from edge.settings import Settings, check_files, edge_id_of
from edge.spool_peek import is_sound, peek
from edge.status import no_room, status
from edge.tools.check import check, in_force
from edge.tools.doctor import MAX_OFFSET_MS, Check, free_days
from edge.trust import trusted
from hakari import __version__
from hakari.clock import SYNCHRONISED, UNKNOWN, PlantTime, SystemClock
from hakari.errors import HakariError
from hakari.registers.profile import MEASURED
from hakari.settings import beside
from hakari.wire.configuration import MeteringConfiguration

OTHERS = 0o077
PROBE_BYTES = 4096
SLOW_FSYNC_MS = 500
FIRST_YEAR = 2024
PACKAGES = ("paho-mqtt", "cryptography", "msgspec", "click")
OPTIONAL = ("pymodbus",)  # only for adapter = "pymodbus"


def config_checks(told: Settings, config: Path) -> Iterator[Check]:
    """Files, profiles, key and roster; `told` was read without a problem."""
    yield Check("config", "settings", "ok", f"{config} is free of contradictions")
    try:
        check_files(told, config.parent)
        configuration = in_force(told, config.parent)
        yield Check("config", "meters", "ok", f"{len(configuration.meters)} meters, every profile is there")
        yield from _doubts(configuration)
        yield _roster(told, config.parent)
    except HakariError as error:
        yield Check("config", "files", "fail", str(error), "correct what the sentence names")
    if told.broker.password_file:
        yield _private(beside(config, told.broker.password_file), "password file")
    if told.broker.key_file:
        yield _private(beside(config, told.broker.key_file), "TLS key file")


def _doubts(configuration: MeteringConfiguration) -> Iterator[Check]:
    """Which meters' readings do not count as they stand, after commissionings and suspensions."""
    for meter in configuration.meters:
        if meter.suspended:
            yield Check(
                "config", meter.id, "warn", f"suspended, its readings do not count: {meter.suspended}",
                "see docs/edge.md, Another meter",
            )  # fmt: skip
    unproven = []
    for meter in configuration.meters:
        measured = [point.name for point in meter.profile.points if point.kind in MEASURED]
        doubted = [name for name in measured if meter.doubt(name)]
        if doubted and not meter.suspended:
            unproven.append(f"{meter.id} ({len(doubted)} of {len(measured)} points)")
    if unproven:
        yield Check(
            "config", "profiles", "warn", f"not proven on the meter: {', '.join(unproven)}",
            "these points count once `hakari edge commission` matched them to the display",
        )  # fmt: skip


def _roster(told: Settings, folder: Path) -> Check:
    trust = trusted(told, folder)
    edge_id = edge_id_of(told)
    if any(one.edge == edge_id for one in trust.roster.edges):
        return Check("config", "key and roster", "ok", f"the key is private, the roster knows it as {edge_id}")
    return Check(
        "config", "key and roster", "warn", f"the roster does not know {edge_id} yet",
        "give the .pub file to the owner; until the edge is enrolled ingest quarantines what it sends",
    )  # fmt: skip


def _private(path: Path, name: str) -> Check:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return Check(
            "config", name, "fail", f"{path} cannot be read: {error.strerror}", "create it or correct the path"
        )
    if mode & OTHERS:
        return Check("config", name, "warn", f"{path} has mode {mode:04o}: others can read it", f"chmod 600 {path}")
    return Check("config", name, "ok", f"{path} is private")


def clock_checks(now: PlantTime | None = None, offset_us: int | None = None) -> Iterator[Check]:
    """Whether the machine's clock can be believed."""
    clock = SystemClock()
    now = now or clock.now()
    offset_ms = (clock.kernel.offset_us if offset_us is None else offset_us) / 1000
    shown = datetime.fromtimestamp(now.wall_ms / 1000, UTC)
    if shown.year < FIRST_YEAR:
        yield Check("clock", "time", "fail", f"it is {shown:%Y-%m-%d} here", "set the clock, or start the time service")
    else:
        yield Check("clock", "time", "ok", f"{shown:%Y-%m-%d %H:%M:%S} UTC")
    fix = "start a time service (chrony, systemd-timesyncd) and let NTP through; until then samples wait for the time"
    if now.sync == SYNCHRONISED:
        state = "ok" if abs(offset_ms) <= MAX_OFFSET_MS else "warn"
        yield Check(
            "clock", "synchronised", "ok" if state == "ok" else "warn", f"yes, {offset_ms:.1f} ms being corrected"
        )
    elif now.sync == UNKNOWN:
        yield Check("clock", "synchronised", "warn", "not known here", fix)
    else:
        yield Check("clock", "synchronised", "warn", "no", fix)


def is_running(spool: Path) -> bool:
    """Whether an edge holds the spool: its lock is tried for an instant, shared, through a file open for reading."""
    try:
        with Path(f"{spool}.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def spool_checks(told: Settings, config: Path, environ: Mapping[str, str]) -> Iterator[Check]:
    """Folder, fsync, room, and what the spool holds."""
    path = beside(config, told.edge.spool)
    if not path.parent.is_dir():
        yield Check("spool", "folder", "fail", f"{path.parent} is no folder", "make it or correct [edge].spool")
        return
    writable = os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
    yield Check(
        "spool", "folder", "ok" if writable else "fail", f"{path.parent} is {'' if writable else 'not '}writable",
        "" if writable else "let this user write there",
    )  # fmt: skip
    if writable:
        yield _fsync(path.parent)
    try:
        yield _room(told, path, check(config, environ).bytes_a_day)
    except HakariError as error:
        yield Check("spool", "room", "warn", f"not computed: {error}", "correct that first")
    yield _held(path, config)


def _room(told: Settings, path: Path, bytes_a_day: int) -> Check:
    """What the disk has beyond the reserve."""
    was_full = path.is_file() and bool(peek(path).numbers.get(FULL, 0))
    if stopped := no_room(told, path, was_full=was_full):
        return Check("spool", "room", "fail", stopped, "free space, or lower [edge].min_free_mb")
    return free_days(max(0, shutil.disk_usage(path.parent).free - told.edge.min_free_mb * MB), bytes_a_day)


def _fsync(folder: Path) -> Check:
    """How long a small write takes to reach the disk, in a file without a name."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * PROBE_BYTES)
            file.flush()
            began_s = time.perf_counter()
            os.fsync(file.fileno())
            took_ms = 1000 * (time.perf_counter() - began_s)
    except OSError as error:
        return Check("spool", "fsync", "fail", f"failed: {error.strerror}", "mend or replace the disk")
    slow = took_ms > SLOW_FSYNC_MS
    fix = "a slow card holds every sample up so long; use another" if slow else ""
    return Check("spool", "fsync", "warn" if slow else "ok", f"{took_ms:.1f} ms", fix)


def _held(path: Path, config: Path) -> Check:
    if not path.is_file():
        return Check("spool", "state", "ok", "the edge has not run yet", "")
    try:
        told = status(config)
        verdict = is_sound(path)
    except (HakariError, sqlite3.Error) as error:
        return Check("spool", "state", "fail", str(error), "keep a copy of the file, then ask the owner how to go on")
    if verdict != "ok":
        return Check("spool", "state", "fail", f"damaged: {verdict}", "keep a copy of the file; see docs/edge.md")
    if told.spoilt:
        what = f"not what was written: {', '.join(told.spoilt)}"
        return Check("spool", "state", "fail", what, "see docs/edge.md, Disk; replace the disk if it comes again")
    running = "held by a running edge" if is_running(path) else "no edge runs on it"
    return Check("spool", "state", "ok", f"{running}; {told.not_stored_leaves} leaves not known as stored")


def version_checks() -> Iterator[Check]:
    """What runs here."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    for name in OPTIONAL:
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    missing = any(one.endswith(" missing") for one in found)
    told = (
        f"hakari {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {', '.join(found)}"
    )
    yield Check(
        "versions", "software", "fail" if missing else "ok", told,
        "install the extra: pip install 'hakari[edge]'" if missing else "",
    )  # fmt: skip
    yield Check("versions", "machine", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}")
