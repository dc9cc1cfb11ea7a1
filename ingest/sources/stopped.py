"""Sources that failed and were stopped: said once and shown for as long as ingest runs, while edges' leaves go on.

A failing evidence log is everybody's trouble and no source's: it ends the process, as it does for edges.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from hakari.errors import BadConfiguration
from hakari.store.sqlite import StoreFailed
from ingest.sources.own_index import OwnIndexFailed

_log = logging.getLogger("hakari.ingest.sources")


def failure_of(work: Callable[[], object]) -> Exception | None:
    """What `work` failed with, None where it did not; a bad configuration is raised, which a person must mend.

    The one place where a fault of ours is not the end of the process: what strangers send must never keep edges' signed
    leaves from being received. Whoever calls it says the failure and stops the source, or keeps the message.
    """
    try:
        work()
    except BadConfiguration:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        return error
    return None


class Stopped:
    """The sources of one thread that are stopped; read from any thread."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._said

    @property
    def trouble(self) -> str:
        """What stopped, "" while nothing has."""
        return "; ".join(tuple(self._said.values()))

    def stop(self, name: str, error: Exception) -> None:
        """The source `name`, or `name` all of a thread's, failed with `error`, which is raised where it is no source's.

        What arrives meanwhile waits at its sender, the broker or in the folder.
        """
        if isinstance(error, StoreFailed) and not isinstance(error, OwnIndexFailed):
            raise error
        what = " ".join(str(error).split()) or type(error).__name__
        self._said[name] = f"source {name} has stopped ({what}); mend that and start ingest again"
        _log.error("%s", self._said[name], exc_info=error)
