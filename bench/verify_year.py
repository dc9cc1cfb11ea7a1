"""Verifying the pack of a solar plant's year of quarter hours, against SHA-256 of the same bytes.

The year is made by the edge's own log and ingest's own receiver, without the broker between them; making it is not
measured. Both plants' meters stand in every leaf, the project binds one point.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from bench import material
from bench.meter import best
from bench.result import Result
from calc.verify import verify_pack
from edge.log import EdgeLog
from edge.reads.plan import plan_of
from edge.settings import load_settings, metering_configuration
from edge.spool import Spool
from hakari.clock import PlantTime
from hakari.log import keyfile
from hakari.log.mark import Cosigner
from hakari.log.publicfile import verifier_of
from hakari.names import Origin, batch_topic
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.wire.configuration import text_of
from hakari.wire.envelope import seal
from ingest.receive.protocol import Receiver
from ingest.settings import load_roster
from ingest.settings import load_settings as ingest_settings
from simulate.layout import Layout, MeterPlace, PlantPlace, approve_epochs, call, free_ports, prepare
from simulate.plant import load_plant

START = "2016-01-01T00:00:00-07:00"
START_MS = 1_451_631_600_000
SLOTS = 366 * 96 + 97
BATCH = 4
GROUP = 256
SHA_ROUNDS = 20
ALLOWED = 3000.0
LIMIT_S = 60.0
PERIOD = "demo-solar-2016"
PLANT = """name = "solar"
port = 1502
[source]
kind = "solar"
start = {start}
capacity_kw = 6.0
latitude_deg = 39.7
longitude_deg = -105.2
[[meters]]
model = "sunspec-103"
unit = 1
serial = "INV-0001"
[[meters]]
model = "schneider-iem3155"
unit = 2
serial = "IEM-0001"
"""
METERS = (
    MeterPlace("inverter", "sunspec-inverter-103", 1, "INV-0001"),
    MeterPlace("export", "schneider-iem3155", 2, "IEM-0001"),
)


def run() -> list[Result]:
    """CPU seconds of the year's pack, against its hash and against a minute."""
    with tempfile.TemporaryDirectory(prefix="hakari-bench-") as held:
        folder = Path(held)
        plant = folder / "solar.plant.toml"
        plant.write_text(PLANT.format(start=START), encoding="utf-8")
        place = PlantPlace("solar", plant, "solar", "e1", METERS, None, free_ports(1)[0])
        layout = prepare(folder / "run", [place], interval_s=material.INTERVAL_MS // 1000, batch_samples=BATCH)
        leaves = _fill(layout, place)
        pack = _pack(layout)
        key, data = verifier_of(layout.owner_key), pack.read_bytes()
        verdict = verify_pack(pack, key)
        if not verdict.ok:
            raise RuntimeError(f"the year's pack does not verify: {verdict.problems[:3]}")
        verified = best(lambda: verify_pack(pack, key), rounds=1)
        hashed = best(lambda: [hashlib.sha256(data).digest() for _ in range(SHA_ROUNDS)])
    name = f"verify a year, {leaves:,} leaves, {len(data) / 1e6:.1f} MB"
    hash_s = hashed.cpu_s / SHA_ROUNDS
    return [
        Result(name, verified.cpu_s, "CPU s", "SHA-256 of the bytes", hash_s, allowed=ALLOWED),
        Result(name, verified.cpu_s, "CPU s", "limit", LIMIT_S),
    ]


def _fill(layout: Layout, place: PlantPlace) -> int:
    """The edge's log of the year, received into the evidence log in groups; how many leaves."""
    settings = load_settings(layout.edge_config(place), {})
    configuration = material.commissioned(metering_configuration(settings, layout.folder))
    plant, plan = load_plant(place.plant_file, {}), plan_of(configuration)
    spool = Spool(":memory:")
    key = keyfile.load(layout.folder / f"{place.edge_id}.pem")
    log = EdgeLog(spool, key, settings.edge.namespace, place.edge_id, "00" * 8, "hakari bench")
    log.start(text_of(configuration), PlantTime(START_MS, 1, "lockstep"))
    for k in range(SLOTS):
        sample = material.sample_of(plant, plan, START_MS + k * material.INTERVAL_MS, k)
        log.add_sample(sample, PlantTime(sample.slot_ms + material.DELAY_MS, sample.mono_ms, "lockstep"), BATCH)
        if k % 5000 == 0:
            print(f"bench: verify_year: {k:,} of {SLOTS:,} samples made", file=sys.stderr)
    (epoch,) = spool.epochs()
    _receive(layout, spool, Origin(settings.edge.namespace, place.edge_id, epoch.epoch), epoch.size)
    spool.close()
    return epoch.size


def _receive(layout: Layout, spool: Spool, origin: Origin, size: int) -> None:
    given = ingest_settings(layout.ingest_config, {})
    cosigner = Cosigner(given.ingest.cosigner_name, keyfile.load(layout.folder / "ingest.pem"))
    evidence = SqliteEvidenceLog(layout.folder / given.ingest.evidence)
    receiver = Receiver(evidence, load_roster(layout.ingest_config, given.ingest), cosigner)
    topic, received_ms = batch_topic(origin.edge_id), START_MS + SLOTS * material.INTERVAL_MS
    for start in range(0, size, GROUP):
        with evidence.transaction():
            for i in range(start, min(start + GROUP, size)):
                leaf = spool.leaf(origin.epoch, i)
                if leaf is not None:
                    receiver.receive(topic, seal(leaf.checkpoint, leaf.deflated), received_ms)
            receiver.keep_mark(origin, received_ms)
    evidence.close()


def _pack(layout: Layout) -> Path:
    approve_epochs(layout)
    call("project", "add", material.DATA / "solar.project.toml", "--config", layout.calc_config)
    call("calc", "run", "--once", "--config", layout.calc_config)
    pack = layout.packs / "year.hakari"
    call("pack", "write", "--period", PERIOD, "--out", pack, "--config", layout.calc_config)
    return pack
