"""An edge's sampling and signed log, against a bare pymodbus loop of the same reads on the same server.

Ours checks every frame, commits each sample with `synchronous=FULL`, and hashes and signs a leaf every four.
Each reader and the meters are processes of their own; imports and start are not in the CPU time, but in memory.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from bench import material
from bench.meter import ROUNDS, Reported, reported
from bench.result import Result, Skipped
from edge.reads.plan import plan_of
from simulate.layout import MeterPlace, PlantPlace, argv, free_ports, prepare
from simulate.processes import Processes

SAMPLES = 600
BATCH = 4
AT = "2016-07-02T12:00:00-07:00"
START_MS = 1_467_486_000_000
ALLOWED_RATE = 0.2
ALLOWED_RSS = 2.5
IMPORTS_LIMIT_MB = 42.0
IMPORTS = "import edge.run; from bench.meter import report\nwith report(): pass"


def run() -> list[Result]:
    """Readings a CPU second and the most memory."""
    if not Path("/proc/self/status").exists():
        raise Skipped("the memory of a process is read from /proc, which this system has not")
    with tempfile.TemporaryDirectory(prefix="hakari-bench-") as held, Processes(Path(held) / "logs") as processes:
        folder, port = Path(held), free_ports(1)[0]
        plant = folder / "solar.plant.toml"
        plant.write_text(_plant_text(port), encoding="utf-8")
        processes.start("meters", argv("simulate", "plants", plant, "--at", AT))
        processes.wait_listening("meters", "127.0.0.1", port)
        config = _config(folder, plant, port)
        rounds = [(_bare(port), _edge(config, number)) for number in range(ROUNDS)]
        imports = reported([sys.executable, "-c", IMPORTS])
    bare, ours = (min(side, key=lambda took: took.cpu_s) for side in zip(*rounds, strict=True))
    readings = SAMPLES * material.points_a_sample()
    peer = "bare pymodbus loop"
    rates = readings / ours.cpu_s, readings / bare.cpu_s
    mib = ours.rss_bytes / 2**20, bare.rss_bytes / 2**20
    return [
        Result("edge sampling and log", rates[0], "readings/CPU s", peer, rates[1], "higher", ALLOWED_RATE),
        Result("edge, most memory", mib[0], "MiB", peer, mib[1], allowed=ALLOWED_RSS),
        Result("edge, imports alone", imports.rss_bytes / 1e6, "MB", "limit", IMPORTS_LIMIT_MB),
    ]


def _plant_text(port: int) -> str:
    text = (material.DATA / "solar.toml").read_text(encoding="utf-8")
    text = re.sub(r'"(solar\.(?:csv|map\.toml))"', lambda found: f'"{material.DATA / found[1]}"', text)
    return re.sub(r"(?m)^port = \d+$", f"port = {port}", text)


def _config(folder: Path, plant: Path, port: int) -> Path:
    """Settings, keys and roster of the edge that reads the served meters."""
    meters = [MeterPlace(m.id, m.profile.id, m.unit, m.serial) for m in material.configuration().meters]
    place = PlantPlace("solar", plant, "solar", "e1", meters, None, port)
    layout = prepare(folder, [place], interval_s=material.INTERVAL_MS // 1000, batch_samples=BATCH)
    return layout.edge_config(place)


def _bare(port: int) -> Reported:
    plan = plan_of(material.configuration())
    requests = [f"{r.unit}:{r.address}:{r.count}" for meter in plan for r in meter.requests]
    return reported([sys.executable, "-m", "bench.reader_bare", str(port), str(SAMPLES), *requests])


def _edge(config: Path, number: int) -> Reported:
    """One round; each goes on where the one before it ended, as a slot is sampled once."""
    start_ms = START_MS + number * SAMPLES * material.INTERVAL_MS
    return reported([sys.executable, "-m", "bench.reader_edge", str(config), str(start_ms), str(SAMPLES)])
