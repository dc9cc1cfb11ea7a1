"""The same readings through one Mosquitto into one InfluxDB 2.7: hakari's signed leaves, and Telegraf's line protocol.

Each takes its natural payload: leaves of twenty meters, fifteen values, seven samples; and what Telegraf's mqtt output
sends unless told otherwise, a line of fifteen values a message. What Telegraf takes when its senders are told to put
the lines of seven samples into one message stands beside it, for information. Rounds are interleaved, both write
uncompressed, and both are counted again in InfluxDB. Telegraf (mqtt_consumer → influxdb_v2) gets a buffer that holds
everything, since its default of 10,000 drops, and room for two batches of undelivered messages, since it would idle
otherwise; it checks no signature, keeps no evidence and acknowledges before it has written. CPU is that of either
process alone. Needs HAKARI_BENCH_TELEGRAF, HAKARI_TEST_MOSQUITTO and HAKARI_TEST_INFLUXD.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from bench import broker_runs, ingest_pipeline, many_values
from bench.broker_runs import Took
from bench.result import Result, Skipped
from simulate.processes import Processes
from tests.system.influx import ORG, TOKEN, InfluxServer

ROUNDS = 3
TOPIC = "bench/lines"
ALLOWED_RATE = 1.0
ALLOWED_WALL = 0.2
ALLOWED_MEMORY = 1.25
INFORMATIVE = 0.0
COUNT = ingest_pipeline.LEAVES


def run() -> list[Result]:
    """Readings a CPU second and a wall second, and memory, beside Telegraf's."""
    telegraf = os.environ.get("HAKARI_BENCH_TELEGRAF")
    if not telegraf:
        raise Skipped("HAKARI_BENCH_TELEGRAF is not set; it names the Telegraf to measure against")
    program = broker_runs.influxd()
    with (
        tempfile.TemporaryDirectory(prefix="hakari-bench-") as held,
        InfluxServer(program, Path(held)) as db,
        Processes(Path(held) / "broker-logs") as processes,
    ):
        port = broker_runs.broker(processes, Path(held))
        lines, batches = list(many_values.lines(COUNT)), list(many_values.line_batches(COUNT))
        rounds = [
            (
                ingest_pipeline.in_folder(db, port).took,
                _telegraf(Path(telegraf), db, port, lines),
                _telegraf(Path(telegraf), db, port, batches),
            )
            for _ in range(ROUNDS)
        ]
    ours, single, batched = (_best(side) for side in zip(*rounds, strict=True))
    name, readings = "ingest, 15 values a line, InfluxDB", ingest_pipeline.READINGS
    peer, other = "Telegraf, a line a message", "Telegraf, 140 lines a message"
    return [
        Result(name, readings / ours.cpu_s, "readings/CPU s", peer, readings / single.cpu_s, "higher", ALLOWED_RATE),
        Result(name, readings / ours.wall_s, "readings/s", peer, readings / single.wall_s, "higher", ALLOWED_WALL),
        Result(
            f"{name}, most memory", ours.rss_bytes / 1e6, "MB", peer, single.rss_bytes / 1e6, allowed=ALLOWED_MEMORY
        ),
        Result(name, readings / ours.cpu_s, "readings/CPU s", other, readings / batched.cpu_s, "higher", INFORMATIVE),
    ]


def _best(side: Sequence[Took]) -> Took:
    """The least CPU and wall seconds of any round, and the most memory of all."""
    return Took(
        min(took.wall_s for took in side), min(took.cpu_s for took in side), max(took.rss_bytes for took in side)
    )


def _telegraf(program: Path, db: InfluxServer, port: int, messages: Sequence[bytes]) -> Took:
    bucket = f"b{uuid.uuid4().hex}"
    db.make_bucket(bucket)
    with tempfile.TemporaryDirectory(prefix="hakari-bench-") as held, Processes(Path(held) / "logs") as processes:
        config = Path(held) / "telegraf.conf"
        config.write_text(_text(db, bucket, port), encoding="utf-8")
        pid = processes.start("telegraf", [str(program), "--config", str(config)])
        log = Path(held) / "logs" / "telegraf.log"
        broker_runs.wait_for(lambda: "Connected [tcp://" in log.read_text(encoding="utf-8", errors="replace"))
        return broker_runs.taken(port, TOPIC, messages, pid, lambda: _stored(db, bucket) == ingest_pipeline.READINGS)


def _stored(db: InfluxServer, bucket: str) -> int:
    found = db.influxql(bucket, "SELECT count(*) FROM modbus")
    return sum(found[0]["values"][0][1:]) if found else 0


def _text(db: InfluxServer, bucket: str, port: int) -> str:
    return f"""[agent]
  interval = "1s"
  flush_interval = "1s"
  omit_hostname = true
  metric_batch_size = 5000
  metric_buffer_limit = 2000000
[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{port}"]
  topics = ["{TOPIC}"]
  topic_tag = ""
  qos = 1
  max_undelivered_messages = 10000
  client_id = "bench-telegraf"
  data_format = "influx"
[[outputs.influxdb_v2]]
  urls = ["{db.url}"]
  token = "{TOKEN}"
  organization = "{ORG}"
  bucket = "{bucket}"
  content_encoding = "identity"
"""
