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

_log = logging.getLogger("hakari.calc")


class Daily:
    """Writes the days of months to `operations`; what could not be written stays and is tried again later."""

    def __init__(self, operations: OperationsView, machine_s: Callable[[], float] = time.monotonic) -> None:
        self._operations = operations
        self._machine_s = machine_s
        self._reason = ""
        self._delay_s = FIRST_RETRY_S
        self._again_s: float | None = None

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
            del waiting[period_id]
            written += 1
        if written and self._reason:
            _log.warning("operators' days are written again")
            self._reason, self._delay_s, self._again_s = "", FIRST_RETRY_S, None
        return written

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
