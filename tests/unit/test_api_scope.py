"""What a caller may look into, and the unit of what is found there."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from api.configurations import Configurations
from api.plans import Plans
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.registers.profile import Point, Profile
from hakari.store.evidence import StoredLeaf
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.wire.configuration import Meter, MeteringConfiguration, parts_of, sha256_of, text_of
from hakari.wire.envelope import deflate
from hakari.wire.leaf import Carried, Leaf, Sample, Sync, encode
from tests.unit.api_world import FOREIGN_POINT, POINT, project

OLD, NEW = Origin("plant.example", "sola-e1", 1700), Origin("plant.example", "sola-e1", 1800)
PROFILE = Profile(
    id="m", maker="m", model="m", source="s", standing="excerpt",
    points=[Point(name="energy", address=0, type="u32", kind="counter", unit="Wh")],
)  # fmt: skip
TEXT = text_of(MeteringConfiguration(1, OLD.edge_id, 1000, 500, [Meter("main", "bus", 1, "", PROFILE)]))


def test_the_edges_of_a_plan_are_those_of_its_document() -> None:
    plans = Plans()
    own, foreign = project("plant-a", POINT), project("plant-b", FOREIGN_POINT)
    for _ in range(2):
        assert plans.edges_of(own) == {"sola-e1"}
        assert plans.edges_of(foreign) == {"solb-e1"}
    for document in ("", "[", "monitored = 1"):
        assert plans.edges_of(msgspec.structs.replace(own, document=document, document_sha256=document)) == set()


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[SqliteEvidenceLog]:
    log = SqliteEvidenceLog(tmp_path / "evidence.db")
    yield log
    log.close()


def store(evidence: SqliteEvidenceLog, origin: Origin, **parts: object) -> Leaf:
    """Appends a leaf as if an edge had signed it."""
    head = evidence.head(origin)
    salt = base64.b64encode(bytes(16)).decode()
    made = Leaf(
        1, origin.edge_id, origin.epoch, head.size, salt, "0123456789abcdef", 1, 1, Sync("lockstep"), "", "hakari"
    )
    body = encode(msgspec.structs.replace(made, **parts))
    frontier = extend(head.frontier, head.size, leaf_hash(body))
    with evidence.transaction():
        stored = StoredLeaf(head.size, leaf_hash(body), deflate(body), b"", 1)
        assert evidence.append(origin, head.size, stored, frontier, root_of(frontier))
    return msgspec.structs.replace(made, **parts)


def test_a_unit_that_was_not_known_yet_is_known_once_it_was_logged(evidence: SqliteEvidenceLog) -> None:
    configurations = Configurations(evidence)
    sample, cfg = Sample(1, 1, []), sha256_of(TEXT)
    store(evidence, OLD, samples=[sample], cfg=cfg)
    assert configurations.unit(OLD, 0, "main", "energy") is None
    for part in parts_of(TEXT):
        store(evidence, OLD, configuration=part)
    last = store(evidence, OLD, samples=[sample], cfg=cfg)
    assert configurations.unit(OLD, last.i, "main", "energy") == "Wh"
    assert configurations.unit(OLD, last.i, "main", "none") is None
    assert configurations.unit(OLD, last.i + 1, "main", "energy") is None


def test_the_unit_of_a_carried_leaf_is_that_of_its_own_epoch(evidence: SqliteEvidenceLog) -> None:
    for part in parts_of(TEXT):
        store(evidence, OLD, configuration=part)
    lost = msgspec.structs.replace(store(evidence, OLD, samples=[Sample(1, 1, [])], cfg=sha256_of(TEXT)), i=9)
    carrier = store(evidence, NEW, carried=Carried.of(OLD.epoch, 9, encode(lost)))
    assert Configurations(evidence).unit(NEW, carrier.i, "main", "energy") == "Wh"
