"""Signals to the edge: a storm of them is one event, and hides none of another kind."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from edge.signals import on_signal, reload_on

STORM = 20_000


def test_a_storm_of_one_signal_reads_once_and_hides_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    reads: list[int] = []
    read = asyncio.Event()

    def reload() -> None:
        reads.append(1)
        read.set()

    async def run() -> None:
        hangup, stop = asyncio.Event(), asyncio.Event()
        on_signal(signal.SIGUSR1, hangup)
        on_signal(signal.SIGUSR2, stop)
        for _ in range(STORM):
            os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        task = asyncio.create_task(reload_on(hangup, reload))
        await stop.wait()
        await read.wait()
        task.cancel()

    before = [signal.getsignal(one) for one in (signal.SIGUSR1, signal.SIGUSR2)]
    try:
        asyncio.run(run())
    finally:
        for one, handler in zip((signal.SIGUSR1, signal.SIGUSR2), before, strict=True):
            signal.signal(one, handler)
    assert reads == [1]
    assert capfd.readouterr().err == ""
