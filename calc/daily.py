"""Writing local days where operators look, beside computing: a store that cannot be reached never stops that."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, MutableMapping

from calc.days import Days
from hakari.errors import HakariError
from hakari.store.operations import OperationsView
from hakari.store.view import ViewUnavailable

FIRST_RETRY_S = 5.0
MAX_RETRY_S = 300.0
CHECK_S = 900.0

_log = logging.getLogger("hakari.calc")


class Daily:
    """Writes the days of months to `operations`; what could not be written stays and is tried again later.

    Every CHECK_S seconds it looks whether what it wrote is still there: a bucket may be deleted and made anew.
    """

    def __init__(self, operations: OperationsView, machine_s: Callable[[], float] = time.monotonic) -> None:
        self._operations = operations
        self._machine_s = machine_s
        self._reason = ""
        self._delay_s = FIRST_RETRY_S
        self._again_s: float | None = None
        self._check_s = machine_s() + CHECK_S
        # Project → a month's period id → the beginnings of its days, as written.
        self._wrote: dict[str, dict[str, frozenset[int]]] = {}

    def write(self, waiting: MutableMapping[str, Days]) -> int:
        """Writes what waits by period id, and takes it out; how many months were written.

        A failure is logged, once for each reason, and ends this call: the others would fail alike.
        """
        if self._again_s is not None and self._machine_s() < self._again_s:
            return 0
        written = 0
        for period_id in list(waiting):
            try:
                self._operations.put_days(waiting[period_id].points, waiting[period_id].emissions)
            except HakariError as error:
                self._failed(period_id, error)
                return written
            self._remember(period_id, waiting.pop(period_id))
            written += 1
        if written and self._reason:
            _log.warning("operators' days are written again")
            self._reason, self._delay_s, self._again_s = "", FIRST_RETRY_S, None
        return written

    def lost(self) -> list[str]:
        """The months that were written here and are no longer there whole, to be computed again; seldom looked at."""
        if self._machine_s() < self._check_s:
            return []
        self._check_s = self._machine_s() + CHECK_S
        gone: list[str] = []
        for project, months in self._wrote.items():
            try:
                held = set(self._operations.days_held(project))
            except HakariError as error:
                _log.warning("whether days of %s are still there cannot be seen: %s", project, error)
                return gone
            missing = [period_id for period_id, starts in months.items() if not starts <= held]
            if missing:
                _log.warning("days of %s are gone and are written again: %s", project, ", ".join(missing))
            for period_id in missing:
                del months[period_id]
            gone += missing
        return gone

    def _remember(self, period_id: str, days: Days) -> None:
        for project in {day.project for day in days.emissions}:
            starts = frozenset(day.t_ms for day in days.emissions if day.project == project)
            self._wrote.setdefault(project, {})[period_id] = starts

    def close(self) -> None:
        """Releases the store."""
        self._operations.close()

    def _failed(self, period_id: str, error: HakariError) -> None:
        asked_s = error.retry_after_s if isinstance(error, ViewUnavailable) else None
        self._again_s = self._machine_s() + max(self._delay_s, asked_s or 0.0)
        self._delay_s = min(2 * self._delay_s, MAX_RETRY_S)
        if str(error) != self._reason:
            self._reason = str(error)
            _log.error("the days of %s are not written, and tried again: %s", period_id, error)
