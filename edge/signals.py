"""What the edge does about signals: each only sets an event, however often it comes, and settings are read in peace.

Guaranteed: a storm of one signal costs no slot and hides no other signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

REREAD_EVERY_S = 1.0


def on_signal(name: signal.Signals, event: asyncio.Event) -> None:
    """Sets the event when the signal comes. Called where the loop runs, in the main thread.

    The loop's own handlers queue each signal in a pipe, which thousands of them fill: then one of another kind is lost.
    """
    loop = asyncio.get_running_loop()

    def take(*_: object) -> None:
        if not event.is_set():
            on_loop(loop, event.set)

    signal.signal(name, take)


async def reload_on(hangup: asyncio.Event, reload: Callable[[], None]) -> None:
    """Calls `reload` after a hangup, once for all that come within a second."""
    while True:
        await hangup.wait()
        hangup.clear()
        reload()
        await asyncio.sleep(REREAD_EVERY_S)


def on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Calls it on the loop, from another thread or a signal; nothing where the process is ending."""
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(call)
