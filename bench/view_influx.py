"""Writing rows into the readings view in a real InfluxDB, against writing the same lines that were made before.

Ours makes the lines, writes them, reads their count back, and writes the cursor; the peer sends prebuilt bytes through
the same connection, and reads nothing back. CPU is our process's alone; the server's is not in it. Durable readings a
wall second stand beside the raw SQLite insert of `view_feed`. Needs HAKARI_TEST_INFLUXD.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from bench.meter import Spent, spent
from bench.result import Result, Skipped
from hakari.influxdb import InfluxSettings
from hakari.store.influx import Influx
from hakari.store.lines import Serializer
from hakari.store.view_influx import InfluxReadingsView
from hakari.wire.rows import Row
from hakari.wire.wide import Rows, Shape, Wide
from tests.system.influx import ORG, TOKEN, InfluxServer

EDGE_ID = "solar-e1"
NAMES = ("p0", "p1", "p2", "p3")
SHAPES = [Shape(EDGE_ID, f"m{k}", NAMES, ["u64"] * 4, [-2] * 4, [0] * 4, [""] * 4) for k in range(5)]
LEAVES_A_STEP = 128
SLOTS_A_LEAF = 4
STEPS = 30
INTERVAL_MS = 60_000
START_MS = 1_467_356_400_000
ROUNDS = 2
ALLOWED_RATE = 0.15


def run() -> list[Result]:
    """Rows a CPU second and rows a wall second, both ways."""
    program = os.environ.get("HAKARI_TEST_INFLUXD")
    if not program:
        raise Skipped("HAKARI_TEST_INFLUXD is not set; it names the influxd to write to")
    steps = [_step(k) for k in range(STEPS)]
    with tempfile.TemporaryDirectory(prefix="hakari-bench-") as folder, InfluxServer(Path(program), Path(folder)) as db:
        rounds = [(_ours(db.url, steps), _raw(db.url, steps)) for _ in range(ROUNDS)]
    ours, raw = (min(side, key=lambda took: took.cpu_s) for side in zip(*rounds, strict=True))
    rows = sum(map(len, steps))
    peer = "raw write of the same lines"
    return [
        Result("view in InfluxDB", rows / ours.cpu_s, "rows/CPU s", peer, rows / raw.cpu_s, "higher", ALLOWED_RATE),
        Result("view in InfluxDB", rows / ours.wall_s, "rows/s", peer, rows / raw.wall_s, "higher", ALLOWED_RATE),
    ]


def _step(number: int) -> Rows:
    """The rows of one step of the feeder: 128 leaves of four minutes of five meters with four counters."""
    parts = []
    for leaf in range(number * LEAVES_A_STEP, (number + 1) * LEAVES_A_STEP):
        for slot in range(leaf * SLOTS_A_LEAF, (leaf + 1) * SLOTS_A_LEAF):
            for meter, shape in enumerate(SHAPES):
                raws = tuple(1000 + 37 * slot + 4 * meter + k for k in range(len(NAMES)))
                parts.append(Wide(shape, START_MS + slot * INTERVAL_MS, 1, leaf, "00" * 8, slot, raws))
    return Rows(parts)


def _bucket(url: str) -> InfluxSettings:
    """Settings of a fresh bucket."""
    settings = InfluxSettings(url=url, token_file="none", org=ORG, bucket=f"b{uuid.uuid4().hex}")
    influx = Influx(settings, TOKEN)
    influx.made_bucket()
    influx.close()
    return settings


def _ours(url: str, steps: Sequence[Sequence[Row]]) -> Spent:
    view = InfluxReadingsView(_bucket(url), TOKEN)

    def write() -> None:
        for number, rows in enumerate(steps):
            start = number * LEAVES_A_STEP
            view.write(EDGE_ID, 1, start + LEAVES_A_STEP, rows, [], start)

    took = spent(write)
    if view.counts()[0] != sum(map(len, steps)):
        raise RuntimeError("the view does not hold every row")
    view.close()
    return took


def _raw(url: str, steps: Sequence[Sequence[Row]]) -> Spent:
    influx = Influx(_bucket(url), TOKEN)
    serializer = Serializer()
    made = [serializer.readings(rows).lines for rows in steps]

    def write() -> None:
        for lines in made:
            influx.write_all(lines)

    took = spent(write)
    influx.close()
    return took
