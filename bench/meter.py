"""Measuring a piece of work: wall and CPU seconds of this process, the best of several rounds."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

CHILD_LIMIT_S = 120.0
ROUNDS = 3


class Spent(NamedTuple):
    """Seconds of one piece of work."""

    wall_s: float
    cpu_s: float


def spent(work: Callable[[], object]) -> Spent:
    """What one round took."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def best(work: Callable[[], object], rounds: int = ROUNDS) -> Spent:
    """The least of each over some rounds: what disturbs only ever adds."""
    found = [spent(work) for _ in range(rounds)]
    return Spent(min(one.wall_s for one in found), min(one.cpu_s for one in found))


def cpu_s_of(pid: int) -> float:
    """CPU seconds of a running process, user and system, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def best_on_disk(work: Callable[[Path], object], rounds: int = ROUNDS) -> Spent:
    """`best` of work that fills a new file each round."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="hakari-bench-") as folder:
            found.append(spent(partial(work, Path(folder) / "data.db")))
    return Spent(min(one.wall_s for one in found), min(one.cpu_s for one in found))


class Reported(NamedTuple):
    """What a measured child process prints: CPU and wall seconds of its work, the most memory it ever held."""

    wall_s: float
    cpu_s: float
    rss_bytes: int


@contextmanager
def report() -> Iterator[None]:
    """Prints what the work inside took, as one line of JSON for `reported`."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    yield
    took = Reported(time.perf_counter() - wall_s, time.process_time() - cpu_s, _most_rss_bytes())
    print(json.dumps(took))


def reported(argv: Sequence[str]) -> Reported:
    """Runs a measured child process and gives what it printed."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=CHILD_LIMIT_S, check=True)
    return Reported(*json.loads(done.stdout))


def _most_rss_bytes() -> int:
    # Not getrusage: its maximum begins with what the parent held before the child's own program was loaded.
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
