"""Readings from a real Mosquitto into the evidence log, the embedded view, and InfluxDB 2.7, by `hakari ingest run`.

Twenty meters of fifteen values, seven samples a signed leaf, every check in place: signature, roster, number, root,
commit with `synchronous=FULL`, decoding, quality, rows written and counted again, acknowledgement after the commit.
CPU is that of the whole ingest process; a reading is durable once the evidence log has its leaf, and in the view once
the cursor is over it. In InfluxDB ingest knows the points before, so that each reading counts for their health and the
contextual checks. The peer is a limit: 100 MB. Needs HAKARI_TEST_MOSQUITTO, and HAKARI_TEST_INFLUXD for its lines.
"""

from __future__ import annotations

import re
import sys
import tempfile
import uuid
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from bench import broker_runs, many_values
from bench.broker_runs import Took
from bench.result import Result, Skipped
from hakari.log.keyfile import load
from hakari.names import batch_topic
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.opened import open_view
from ingest.settings import load_settings
from simulate.layout import NAMESPACE, Layout, MeterPlace, PlantPlace, argv, free_ports, prepare
from simulate.processes import Processes
from tests.system.influx import ORG, TOKEN, InfluxServer

LEAVES = 280
CONNECTED = "connected to broker"
READINGS = LEAVES * many_values.READINGS_A_LEAF
MEMORY_LIMIT_MB = 100.0
# Durable readings a wall second that a hundred edges of 300 values each second give.
LIVE_RATE = 30_000.0


class Run(NamedTuple):
    """One run: into the evidence log alone, until the view was level, and what both took."""

    durable_s: float
    took: Took


def run() -> list[Result]:
    """Readings a second and a CPU second, and memory, for each kind of view."""
    results = _results("embedded view", in_folder(None))
    try:
        program = broker_runs.influxd()
    except Skipped as reason:
        print(f"bench: ingest_pipeline: {reason}", file=sys.stderr)
        return results
    with tempfile.TemporaryDirectory(prefix="hakari-bench-") as held, InfluxServer(program, Path(held)) as db:
        results += _results("InfluxDB 2.7", in_folder(db))
    return results


def _results(kind: str, one: Run) -> list[Result]:
    name = f"ingest from MQTT, {kind}"
    live = "a hundred edges, 300 values a second each"
    return [
        Result(f"{name}, durable", READINGS / one.durable_s, "readings/s", live, LIVE_RATE, "higher"),
        Result(f"{name}, in the view", READINGS / one.took.wall_s, "readings/s", live, LIVE_RATE, "higher"),
        Result(f"{name}, in the view", READINGS / one.took.cpu_s, "readings/CPU s", live, LIVE_RATE, "higher"),
        Result(f"{name}, most memory", one.took.rss_bytes / 1e6, "MB", "limit", MEMORY_LIMIT_MB),
    ]


def in_folder(db: InfluxServer | None, broker_port: int = 0) -> Run:
    """One run of fresh files, through a broker of its own unless `broker_port` names one."""
    with tempfile.TemporaryDirectory(prefix="hakari-bench-") as held:
        folder = Path(held)
        with Processes(folder / "logs") as processes:
            return _run(processes, folder, db, broker_port or broker_runs.broker(processes, folder))


def table(db: InfluxServer, folder: Path) -> str:
    """`[influxdb]` for a new bucket; not compressed on the loopback address, as Telegraf beside it."""
    bucket = f"b{uuid.uuid4().hex}"
    db.make_bucket(bucket)
    token = folder / "influxdb.token"
    token.write_text(TOKEN, encoding="ascii")
    return (
        f'[influxdb]\nurl = "{db.url}"\ntoken_file = "{token}"\norg = "{ORG}"\nbucket = "{bucket}"\ncompress = false\n'
    )


def _run(processes: Processes, folder: Path, db: InfluxServer | None, port: int) -> Run:
    meters = [MeterPlace(f"m{unit}", "none", unit, "") for unit in range(1, many_values.METERS + 1)]
    place = PlantPlace("bench", folder / "none.toml", "bench", "e1", meters, None, free_ports(1)[0])
    home = folder / "home"
    layout = prepare(
        home,
        [place],
        interval_s=1,
        batch_samples=many_values.SAMPLES_A_LEAF,
        influxdb=table(db, folder) if db else None,
    )
    _settle(layout, port)
    messages = many_values.messages(LEAVES, load(home / f"{many_values.EDGE_ID}.pem"), NAMESPACE)
    evidence = home / "evidence.db"
    settings = load_settings(layout.ingest_config, {})
    begin, messages = messages[:-LEAVES], messages[-LEAVES:]
    pid = _started(processes, layout)
    broker_runs.taken(port, batch_topic(many_values.EDGE_ID), begin, pid, lambda: _stored(evidence) == len(begin))
    if db is not None and settings.influxdb is not None:
        # From a second start on ingest knows the points, as every day: each reading counts for their health.
        processes.stop("ingest")
        pid = _started(processes, layout)
        known = (settings.influxdb.bucket, "SELECT last(limit_s) FROM health_minute WHERE meter = 'm1'")
        broker_runs.wait_for(lambda: bool(db.influxql(*known)))
    durable: list[float] = []
    with (
        closing(SqliteEvidenceLog(evidence, read_only=True)) as log,
        closing(open_view(layout.ingest_config, settings.ingest.view, settings.influxdb, read_only=True)) as view,
    ):
        began_s = broker_runs.now_s()

        def level() -> bool:
            stored = sum(log.head(origin).size for origin in log.origins())
            if stored < len(begin) + len(messages):
                return False
            if not durable:
                durable.append(broker_runs.now_s() - began_s)
            (origin,) = log.origins()
            return view.cursor(origin.edge_id, origin.epoch) == stored

        took = broker_runs.taken(port, batch_topic(many_values.EDGE_ID), messages, pid, level)
        held = view.counts()
    if held != (READINGS, 0):
        raise RuntimeError(f"the view holds {held[0]} readings and {held[1]} refusals, not {READINGS} and 0")
    return Run(durable[0], took)


def _started(processes: Processes, layout: Layout) -> int:
    """Starts ingest and waits until it hears the broker; its process id."""
    log_file = layout.ingest_config.parent.parent / "logs" / "ingest.log"
    before = log_file.read_text(encoding="utf-8").count(CONNECTED) if log_file.exists() else 0
    pid = processes.start("ingest", argv("ingest", "run", "--config", layout.ingest_config))
    broker_runs.wait_for(lambda: log_file.read_text(encoding="utf-8", errors="replace").count(CONNECTED) > before)
    return pid


def _stored(evidence: Path) -> int:
    with closing(SqliteEvidenceLog(evidence, read_only=True)) as log:
        return sum(log.head(origin).size for origin in log.origins())


def _settle(layout: Layout, port: int) -> None:
    """The settings of ingest with the bench's broker and the real clock."""
    text = layout.ingest_config.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^\[clock\]\nsource = .*\naddress = .*\n", '[clock]\nsource = "system"\n', text)
    text = re.sub(r"(?m)^port = \d+$", f"port = {port}", text)
    layout.ingest_config.write_text(text, encoding="utf-8")
