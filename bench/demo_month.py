"""One month, four plants, quarter hours, through the whole chain: wall and CPU seconds against the limit of 120 s."""

from __future__ import annotations

import sys

from bench.month import cores, month
from bench.result import Result

LIMIT_S = 120.0
LIMIT_CORES = 2


def run() -> list[Result]:
    """Wall time from the first key to the verdict, and the CPU time of all processes together."""
    took = month()
    parts = ", ".join(f"{name} {s:.1f}" for name, s in sorted(took.cpu_s.items(), key=lambda part: -part[1]))
    print(f"  CPU seconds: {parts}; {cores()} cores", file=sys.stderr)
    cpu_limit_s = LIMIT_CORES * LIMIT_S
    return [
        Result("demo month, wall", took.wall_s, "s", "limit on two cores", LIMIT_S),
        Result("demo month, CPU", sum(took.cpu_s.values()), "s", "two cores for that time", cpu_limit_s),
    ]
