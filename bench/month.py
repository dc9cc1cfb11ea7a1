"""The demo's month, run once for every benchmark that wants it: all rooms as processes, kept until Python ends."""

from __future__ import annotations

import atexit
import os
import resource
import tempfile
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from bench.meter import cpu_s_of
from bench.result import Skipped
from simulate import demo
from simulate.demo import Outcome
from simulate.processes import Processes


class Month(NamedTuple):
    """What a demo took and made; `cpu_s` by process, `commands` being keys, calc, packs and verify together."""

    wall_s: float
    cpu_s: Mapping[str, float]
    outcomes: list[Outcome]
    owner_key: str
    folder: Path


@lru_cache(maxsize=1)
def month() -> Month:
    """Four plants, one month, every process. Skipped where CPU times of processes cannot be read."""
    if not Path("/proc/self/stat").exists():
        raise Skipped("the CPU time of other processes is read from /proc, which this system has not")
    held = tempfile.TemporaryDirectory(prefix="hakari-bench-")  # kept for the packs in it
    atexit.register(held.cleanup)
    folder = Path(held.name)
    started_s, own_s, waited_s = time.perf_counter(), time.process_time(), _waited_s()
    with Processes(folder / "logs") as processes:
        ran = demo.run(folder, processes, lambda _: None, lambda _: None)
        wall_s = time.perf_counter() - started_s
        cpu_s = {name: cpu_s_of(child.process.pid) for name, child in processes._children.items()}  # noqa: SLF001
        commands_s = _waited_s() - waited_s
    cpu_s |= {"driver and meters": time.process_time() - own_s, "commands": commands_s}
    return Month(wall_s, cpu_s, ran.outcomes, ran.owner_key, folder)


def _waited_s() -> float:
    """CPU seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
