"""`python -m bench.reader_edge SETTINGS START_MS SAMPLES`: an edge that samples and logs, with nobody to send to."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from bench.meter import report
from edge.run import Edge
from edge.settings import load_settings
from hakari.lockstep import LockstepClock, Tick


async def _sample(config: Path, start_ms: int, samples: int) -> None:
    settings = load_settings(config, os.environ)
    edge = Edge(settings, config.parent)
    clock, interval_ms = edge.machine, settings.edge.interval_s * 1000
    if not isinstance(clock, LockstepClock):
        raise TypeError("the benchmark's edge needs the lockstep clock")
    clock.set(Tick(0, start_ms))
    edge.log.start(edge.text, clock.now())
    with report():
        for k in range(1, samples + 1):
            clock.set(Tick(k, start_ms + k * interval_ms))
            await edge.take(start_ms + k * interval_ms)
    for bus in edge.buses.values():
        bus.close()
    edge.spool.close()


if __name__ == "__main__":
    asyncio.run(_sample(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
