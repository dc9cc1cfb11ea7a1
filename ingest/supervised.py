"""A thread beside the loop that receives, whose end is seen: what it fails with is raised where the process can end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

STOP_LIMIT_S = 8.0


class Supervised:
    """Runs `work` once it is started; `work` comes back when it is told to end, or with an error."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._running: Future[None] | None = None

    def start(self) -> None:
        """Begins."""
        executor = ThreadPoolExecutor(1, self._name)
        self._running = executor.submit(self._work)
        executor.shutdown(wait=False)

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        if self._running is not None and self._running.done():
            self._running.result()

    def ended(self, limit_s: float = STOP_LIMIT_S) -> bool:
        """Whether the thread has ended, waiting at most `limit_s` for it; tell it to end before."""
        return self._running is None or bool(wait([self._running], limit_s).done)
