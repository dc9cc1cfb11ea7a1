"""Twenty units of fifteen values: our edge, Telegraf's modbus input, and a bare pymodbus loop on one server.

Ours checks, commits and signs (a leaf every ten samples); Telegraf gathers ten times a second and writes JSON lines
to a file on the same disk; the bare loop keeps nothing. CPU is the reading process's alone. Telegraf is
HAKARI_BENCH_TELEGRAF; without it its lines are left out and said so, those of our own limits stay. Then `hakari edge
run` samples each second of real time: a sample counts when every block in it is whole, and every second from the first
to the last must have one.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.meter import ROUNDS, Reported, cpu_s_of, reported
from bench.result import Result, Skipped
from edge.spool import Spool
from hakari.names import batch_topic
from hakari.wire.envelope import inflate, seal
from hakari.wire.leaf import Sample, decode
from simulate.layout import MeterPlace, PlantPlace, argv, free_ports, prepare
from simulate.processes import Processes

UNITS, VALUES = 20, 15
SAMPLES = 200
BATCH = 10
INTERVAL_S = 60
START_MS = 1_467_486_000_000
TELEGRAF_RUN_S = 8.0
TELEGRAF_INTERVAL_MS = 100
START_LIMIT_S = 20.0
LIVE_RUN_S = 15.0
MIN_LIVE_SLOTS = 8
ALLOWED_MISSED = 1.0
QOS1_BYTES = 2 + 2
ALLOWED_BARE = 0.2
ALLOWED_TELEGRAF = 1.0
MEMORY_LIMIT_MB = 45.0
WIRE_LIMIT_BYTES = 5.4
ALLOWED_MEMORY = 2.0
ALLOWED_WIRE = 1.0


class Read(NamedTuple):
    """What a reader took: readings a CPU second, the most memory, bytes a reading that leave it."""

    rate: float
    rss_bytes: int
    wire_bytes: float


def run() -> list[Result]:
    """Readings a CPU second, memory and bytes a reading."""
    if not Path("/proc/self/status").exists():
        raise Skipped("the memory of a process is read from /proc, which this system has not")
    with tempfile.TemporaryDirectory(prefix="hakari-bench-") as held, Processes(Path(held) / "logs") as processes:
        folder, port = Path(held), free_ports(1)[0]
        words = [str(port), str(UNITS), str(2 * VALUES)]
        processes.start("meters", [sys.executable, "-m", "bench.served_meters", *words])
        processes.wait_listening("meters", "127.0.0.1", port)
        config = _config(folder, port)
        rounds = [(_bare(port), _edge(config, number)) for number in range(ROUNDS)]
        ours = Read(max(_rate(edge) for _, edge in rounds), max(e.rss_bytes for _, e in rounds), _wire(config))
        bare = max(_rate(bare) for bare, _ in rounds)
        name = f"edge, {UNITS} units × {VALUES} values"
        results = [Result(name, ours.rate, "readings/CPU s", "bare pymodbus loop", bare, "higher", ALLOWED_BARE)]
        taken, slots = _live(processes, config)
        live = f"{name}, samples each second"
        results.append(Result(live, taken, "samples", "seconds that passed", slots, "higher", ALLOWED_MISSED))
        memory, signed = f"{name}, most memory", f"{name}, wire with signature"
        results.append(Result(memory, ours.rss_bytes / 1e6, "MB", "limit", MEMORY_LIMIT_MB))
        results.append(Result(signed, ours.wire_bytes, "bytes/reading", "limit", WIRE_LIMIT_BYTES))
        telegraf = os.environ.get("HAKARI_BENCH_TELEGRAF")
        if not telegraf:
            print("bench: edge_telegraf: HAKARI_BENCH_TELEGRAF is not set; Telegraf is left out", file=sys.stderr)
            return results
        theirs = _telegraf(processes, Path(telegraf), folder, port)
    mib = ours.rss_bytes / 2**20, theirs.rss_bytes / 2**20
    wire = ours.wire_bytes, theirs.wire_bytes
    return [
        *results,
        Result(name, ours.rate, "readings/CPU s", "Telegraf modbus", theirs.rate, "higher", ALLOWED_TELEGRAF),
        Result(memory, mib[0], "MiB", "Telegraf", mib[1], allowed=ALLOWED_MEMORY),
        Result(signed, wire[0], "bytes/reading", "Telegraf JSON", wire[1], allowed=ALLOWED_WIRE),
    ]


def _rate(took: Reported) -> float:
    return SAMPLES * UNITS * VALUES / took.cpu_s


def _config(folder: Path, port: int) -> Path:
    """An edge with twenty meters of one profile of fifteen single floats."""
    points = "\n".join(
        f'[[points]]\nname = "v{k}"\naddress = {2 * k}\ntype = "f32"\nkind = "gauge"\nunit = "V"\n'
        f'word_order = "high_first"\n'
        for k in range(VALUES)
    )
    head = 'id = "fifteen"\nmaker = "bench"\nmodel = "fifteen floats"\nsource = "bench"\nstanding = "one-source"\n'
    home = folder / "edge"
    home.mkdir()
    (home / "fifteen.toml").write_text(f"{head}\n{points}", encoding="utf-8")
    meters = [MeterPlace(f"m{unit}", "fifteen.toml", unit, "") for unit in range(1, UNITS + 1)]
    place = PlantPlace("bench", folder / "none.toml", "bench", "e1", meters, None, port)
    return prepare(home, [place], interval_s=INTERVAL_S, batch_samples=BATCH).edge_config(place)


def _bare(port: int) -> Reported:
    requests = [f"{unit}:0:{2 * VALUES}" for unit in range(1, UNITS + 1)]
    return reported([sys.executable, "-m", "bench.reader_bare", str(port), str(SAMPLES), *requests])


def _edge(config: Path, number: int) -> Reported:
    start_ms = START_MS + number * SAMPLES * INTERVAL_S * 1000
    return reported([sys.executable, "-m", "bench.reader_edge", str(config), str(start_ms), str(SAMPLES)])


def _wire(config: Path) -> float:
    """Bytes of whole MQTT PUBLISH packets a reading, start and configuration leaves left out."""
    file = config.with_name("bench-e1.spool")
    spool = Spool(str(file))
    total = leaves = 0
    for epoch in spool.epochs():
        for i in range(epoch.size):
            leaf = spool.leaf(epoch.epoch, i)
            if leaf is not None and i >= epoch.size - SAMPLES // BATCH:
                rest = QOS1_BYTES + len(batch_topic("bench-e1")) + len(seal(leaf.checkpoint, leaf.deflated))
                total, leaves = total + 1 + 1 + (rest >= 128) + (rest >= 16_384) + rest, leaves + 1
    spool.close()
    return total / (leaves * BATCH * UNITS * VALUES)


def _live(processes: Processes, config: Path) -> tuple[int, int]:
    """Whole samples that a running edge took, and the seconds from its first to its last, in real time."""
    text = config.read_text(encoding="utf-8").replace(f"interval_s = {INTERVAL_S}", "interval_s = 1")
    text = re.sub(r"(?m)^\[clock\]\nsource = .*\naddress = .*\n", '[clock]\nsource = "system"\n', text)
    text = re.sub(r'(?m)^spool = ".*"', 'spool = "live.spool"', text)
    live = config.with_name("live.toml")
    live.write_text(text, encoding="utf-8")
    processes.start("live", argv("edge", "run", live))
    time.sleep(LIVE_RUN_S)
    processes.stop("live")
    samples = _samples(Spool(str(live.with_name("live.spool"))))
    if len(samples) < MIN_LIVE_SLOTS:
        raise Skipped(f"the edge took {len(samples)} samples in {LIVE_RUN_S:.0f} s of real time; see its log")
    slots_ms = sorted(sample.slot_ms for sample in samples)
    whole = [sample for sample in samples if not any(block.error for block in sample.blocks)]
    slots = (slots_ms[-1] - slots_ms[0]) // 1000 + 1
    print(f"bench: edge_telegraf: {slots - len(whole)} missed samples of {slots} in real time", file=sys.stderr)
    return len(whole), slots


def _samples(spool: Spool) -> list[Sample]:
    """Every sample in a spool, in a leaf or not yet."""
    found = [msgspec.json.decode(sample.body, type=Sample) for sample in spool.samples()]
    for epoch in spool.epochs():
        for i in range(epoch.size):
            leaf = spool.leaf(epoch.epoch, i)
            if leaf is not None:
                found += decode(inflate(leaf.deflated)).samples
    spool.close()
    return found


def _telegraf(processes: Processes, program: Path, folder: Path, port: int) -> Read:
    """Telegraf for some seconds: CPU while it gathers, and what it wrote."""
    out, config = folder / "telegraf.json", folder / "telegraf.conf"
    config.write_text(_telegraf_text(port, out), encoding="utf-8")
    pid = processes.start("telegraf", [str(program), "--config", str(config), "--quiet"])
    _wait_for(out)
    size, cpu_s = out.stat().st_size, cpu_s_of(pid)
    time.sleep(TELEGRAF_RUN_S)
    with out.open("rb") as file:
        file.seek(size)
        written = file.read()
    cpu_s = cpu_s_of(pid) - cpu_s
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    rss_bytes = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    processes.stop("telegraf")
    lines: Sequence[bytes] = [line for line in written.splitlines() if line.endswith(b"}")]
    readings = sum(len(json.loads(line)["fields"]) for line in lines[1:])
    if not readings:
        raise Skipped("Telegraf read nothing from the bench's meters")
    return Read(readings / cpu_s, rss_bytes, sum(map(len, lines[1:])) / readings)


def _wait_for(out: Path) -> None:
    deadline_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline_s:
        if out.exists() and out.stat().st_size > 0:
            return
        time.sleep(0.05)
    raise Skipped("Telegraf wrote nothing within its time")


def _telegraf_text(port: int, out: Path) -> str:
    fields = ",\n".join(f'    {{ address = {2 * k}, name = "v{k}", type = "FLOAT32" }}' for k in range(VALUES))
    requests = "\n".join(
        f'  [[inputs.modbus.request]]\n  slave_id = {unit}\n  byte_order = "ABCD"\n  register = "holding"\n'
        f'  measurement = "m"\n  fields = [\n{fields}\n  ]\n  [inputs.modbus.request.tags]\n    unit = "m{unit}"\n'
        for unit in range(1, UNITS + 1)
    )
    return f"""[agent]
  interval = "{TELEGRAF_INTERVAL_MS}ms"
  flush_interval = "1s"
  omit_hostname = true
  metric_batch_size = 5000
  metric_buffer_limit = 50000
[[inputs.modbus]]
  name = "bench"
  controller = "tcp://127.0.0.1:{port}"
  configuration_type = "request"
{requests}
[[outputs.file]]
  files = ["{out}"]
  data_format = "json"
"""
