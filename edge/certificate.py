"""The edge's certificate at the broker: when it ends is logged at the start, daily and when it was renewed.

Ingest learns it from that event, so that operators see it days before; the warning stands in the edge's log too.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

from hakari import pki
from hakari.clock import UNSYNCHRONISED, PlantTime
from hakari.pki import CertificateInvalid
from hakari.smallfile import TooLarge, read_bytes
from hakari.wire.events import CERTIFICATE, NOT_AFTER
from hakari.wire.leaf import Event

STATE = "state"
DAY_MS = 86_400_000
WARN_DAYS, ALARM_DAYS, LAST_DAYS = 30, 7, 1

_log = logging.getLogger("hakari.edge")


class CertificateWatch:
    """Follows one certificate file; `path` None where the broker is met without one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._told: tuple[str, int, str] | None = None

    def event(self, now: PlantTime) -> Event | None:
        """What is to be logged now: its end and how near that is, or that the file cannot be read; mostly None.

        Logged once a day, and at once when the file changed or another threshold (30, 7, 1 day) was passed.
        """
        if self._path is None:
            return None
        not_after, state = self._found(self._path, now)
        told = (not_after, now.wall_ms // DAY_MS, state)
        if told == self._told:
            return None
        self._told = told
        if state != "good":
            _log.warning(
                "certificate %s is %s, its end is %s; renew it: hakari keys authority renew", self._path, state,
                not_after or "not known",
            )  # fmt: skip
        return Event(CERTIFICATE, now.wall_ms, {NOT_AFTER: not_after, STATE: state})

    def _found(self, path: Path, now: PlantTime) -> tuple[str, str]:
        try:
            end = pki.until(pki.certificate_of(read_bytes(path, pki.MAX_PEM_BYTES)))
        except (OSError, TooLarge, CertificateInvalid):
            return "", "unreadable"
        if now.sync == UNSYNCHRONISED:
            return end.isoformat(), "good"
        days = (end - datetime.fromtimestamp(now.wall_ms / 1000, UTC)).total_seconds() / pki.DAY_S
        return end.isoformat(), state_of(days)


def state_of(days: float) -> str:
    """`days` before its end in a word: good, ending (30), ending-soon (7), ending-now (1), expired."""
    if days < 0:
        return "expired"
    limits = ((LAST_DAYS, "ending-now"), (ALARM_DAYS, "ending-soon"), (WARN_DAYS, "ending"))
    return next((word for limit, word in limits if days < limit), "good")
