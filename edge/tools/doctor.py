"""What `hakari edge doctor` says: one line a check, and a report for support that holds no secret. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from hakari.cli.output import printable

GROUPS = ("config", "clock", "bus", "spool", "broker", "versions")
WARN_DAYS, ALARM_DAYS, LAST_DAYS = 30, 7, 1
MIN_FREE_DAYS, WARN_FREE_DAYS = 3, 30
MAX_OFFSET_MS = 1000
MAX_SETTINGS_CHARS = 100_000
SIGNS = {"ok": "✓", "warn": "!", "fail": "✗"}
HIDDEN = "(hidden)"
# Keys whose value could hold a secret if somebody wrote one there; file names are told, what they hold never is.
_SECRET = re.compile(r"^(\s*[\w.\"'-]*(?:password|passphrase|secret|token|private)[\w.\"'-]*\s*=\s*).*$", re.IGNORECASE)
_FILE_KEY = re.compile(r"_file[\"']?\s*=\s*\"[^\"\n]{0,200}\"\s*(?:#.*)?$")
_IN_A_LINE = re.compile(r"-----BEGIN|PRIVATE KEY|//[^/\s:@]+:[^/\s@]+@")

State = Literal["ok", "warn", "fail"]


class Check(msgspec.Struct, frozen=True):
    """One check: `fix` says what to do, "" where nothing is."""

    group: str
    name: str
    state: State
    detail: str
    fix: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """Every check made, in order. `ok` is whether none failed; warnings do not."""

    edge: str
    ok: bool
    checks: list[Check]


def diagnosis(edge: str, checks: Sequence[Check]) -> Diagnosis:
    """The checks as a whole."""
    return Diagnosis(edge, all(one.state != "fail" for one in checks), list(checks))


def shown(told: Diagnosis) -> str:
    """One line a check, for a person."""
    return "\n".join(_line(one) for one in told.checks)


def _line(one: Check) -> str:
    fix = f" → {printable(one.fix)}" if one.fix else ""
    return f"{SIGNS[one.state]} {one.group} {printable(one.name)}: {printable(one.detail)}{fix}"


def certificate(name: str, days: float) -> Check:
    """The verdict on a certificate that is valid for `days` more."""
    told = f"valid for {days:.0f} more days" if days >= 0 else f"expired {-days:.0f} days ago"
    if days < LAST_DAYS:
        return Check("broker", name, "fail", told, "renew it now: without it nothing is sent")
    if days < WARN_DAYS:
        return Check("broker", name, "warn", told, "renew it" + (" this week" if days < ALARM_DAYS else " this month"))
    return Check("broker", name, "ok", told)


def free_days(free_bytes: int, bytes_a_day: int) -> Check:
    """The verdict on the room that the spool has left."""
    days = free_bytes / max(1, bytes_a_day)
    told = f"{free_bytes / 1e9:.1f} GB free, {min(days, 99_999):.0f} days at {bytes_a_day / 1e6:.2f} MB a day"
    fix = "free space, or shorten [edge].ring_days"
    if days < MIN_FREE_DAYS:
        return Check("spool", "room", "fail", told, fix)
    return Check("spool", "room", "warn" if days < WARN_FREE_DAYS else "ok", told, fix if days < WARN_FREE_DAYS else "")


def redacted(settings: str) -> str:
    """The settings file without what could be a secret: files are named, never read."""
    lines = settings[:MAX_SETTINGS_CHARS].splitlines()
    hidden = False
    shown_lines = []
    for line in lines:
        opens = line.count('"""') % 2 == 1 or line.count("'''") % 2 == 1
        if hidden or opens:
            shown_lines.append(HIDDEN)
            hidden = hidden != opens
        elif _IN_A_LINE.search(line):
            shown_lines.append(HIDDEN)
        elif (found := _SECRET.match(line)) and not _FILE_KEY.search(line):
            shown_lines.append(found[1] + HIDDEN)
        else:
            shown_lines.append(printable(line))
    return "\n".join(shown_lines)


def report_text(told: Diagnosis, settings: str, made: str) -> str:
    """The text for support."""
    parts = (f"hakari edge doctor, {made}, edge {told.edge}", shown(told), "settings, without secrets:", settings)
    return "\n\n".join(parts) + "\n"


def only(checks: Iterable[Check], groups: Sequence[str]) -> list[Check]:
    """Those of the groups asked for; all where none is."""
    return [one for one in checks if not groups or one.group in groups]
