"""Mosquitto with TLS as our commands set it up: nobody reads, writes or takes over what is another's."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.settings import load_settings
from edge.spool_peek import opened
from edge.status import status
from edge.tools.doctor_lines import broker_checks
from hakari import mqtt, pki
from hakari.cli.authority import AuthorityFolder
from hakari.log.publicfile import text_of
from hakari.mqtt import BrokerSettings
from hakari.names import batch_topic, config_topic, ingest_client_id, mark_topic, shard
from hakari.store.evidence_sqlite import EvidenceStoreFailed, SqliteEvidenceLog
from tests.system.secured import Client, Secured, eventually, hakari

pytestmark = pytest.mark.system

EDGES = ("sola-e1", "boil-e1", "chil-e1", "tran-e1")
QUIET_S = 0.3
INGEST = """
[ingest]
namespace = "plant.example"
evidence = "evidence.db"
view = "view.db"
cosigner_name = "plant.example/ingest"
cosigner_key_file = "ingest.pem"
owner_key = "{owner}"
roster_file = "roster.note"
[broker]
host = "127.0.0.1"
port = {port}
ca_file = "ca/ca.pem"
certificate_file = "{certificate}"
key_file = "{key}"
"""


@pytest.fixture(scope="module")
def site(mosquitto: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with Secured(tmp_path_factory.mktemp("secured"), mosquitto) as made:
        yield made


WORKER = ingest_client_id(shard(EDGES[0]))
OTHERS = ("logger-1", WORKER, "health")
GREEDY = ("#", "hakari/v1/#", "$SYS/#", "hakari/v1/mark/+", "hakari/v1/config/+", "hakari/v1/batch/+/+")


@pytest.fixture
def everybody(site: Secured) -> Iterator[dict[str, Client]]:
    """Every edge and others, connected and subscribed to all that anybody could wish to hear."""
    clients = {name: Client(site, site.certificate(name)) for name in (*EDGES, *OTHERS, "ingest-all")}
    assert all(client.connected for client in clients.values())
    for name in (*EDGES, *OTHERS):
        for topic in (*GREEDY, *(topic_of(edge) for edge in EDGES for topic_of in (mark_topic, config_topic))):
            clients[name].subscribe(topic)
    clients["ingest-all"].subscribe("hakari/v1/batch/+/+")
    yield clients
    for client in clients.values():
        client.__exit__()


def test_every_pair_of_edges_reads_only_its_own(everybody: dict[str, Client]) -> None:
    ingest = everybody["ingest-all"]
    for edge in EDGES:
        ingest.publish(mark_topic(edge), b"mark")
        ingest.publish(config_topic(edge), b"configuration")
        everybody[edge].publish(batch_topic(edge), edge.encode())
    for edge in EDGES:
        eventually(f"{edge} heard its own", lambda heard=everybody[edge].heard: len(heard) >= 2)  # type: ignore[misc]
    eventually("ingest heard all", lambda: len(ingest.heard) >= len(EDGES))
    eventually("the worker heard its shard", lambda: everybody[WORKER].heard)
    time.sleep(QUIET_S)
    for edge in EDGES:
        assert sorted(everybody[edge].heard) == [(config_topic(edge), b"configuration"), (mark_topic(edge), b"mark")]
    assert sorted(ingest.heard) == sorted((batch_topic(edge), edge.encode()) for edge in EDGES)
    shards_own = [batch_topic(edge) for edge in EDGES if shard(edge) == shard(EDGES[0])]
    assert sorted(topic for topic, _ in everybody[WORKER].heard) == sorted(shards_own)
    assert everybody["logger-1"].heard == []
    assert all(topic.startswith("$SYS/broker/uptime") for topic, _ in everybody["health"].heard)


def test_every_pair_of_edges_writes_only_its_own(site: Secured, everybody: dict[str, Client]) -> None:
    for name, other in itertools.product((*EDGES, *OTHERS), EDGES):
        forged = [mark_topic(other), config_topic(other)] if name != WORKER else []
        if name != other:
            forged += [batch_topic(other)]
        everybody[name].__exit__()
        for topic in forged:  # a connection each: Mosquitto may end one that publishes what it may not
            with Client(site, site.certificate(name)) as forger:
                forger.publish(topic, b"forged")
    time.sleep(QUIET_S)
    with Client(site, site.certificate("ingest-all"), client_id="second") as ingest:
        assert ingest.connected
    assert everybody["ingest-all"].heard == []
    for edge in EDGES:
        assert everybody[edge].heard == []


def test_nobody_takes_over_the_connection_of_another(site: Secured) -> None:
    names = (*EDGES, "ingest-all")
    clients = {name: Client(site, site.certificate(name)) for name in names}
    for edge in EDGES:
        clients[edge].subscribe(mark_topic(edge))
    for name in EDGES:
        clients[name].__exit__()
        for other in (one for one in names if one != name):
            with Client(site, site.certificate(name), client_id=other) as thief:
                assert thief.connected
                thief.subscribe(mark_topic(other))
                clients["ingest-all"].publish(mark_topic(other), b"mark")
                if other in EDGES:
                    heard = clients[other].heard
                    eventually(f"{other} hears on, beside {name}", lambda heard=heard: heard)  # type: ignore[misc]
                    heard.clear()
                assert not clients[other].lost, f"{name} threw out {other}"
                assert thief.heard == []
        clients[name] = Client(site, site.certificate(name))
        clients[name].subscribe(mark_topic(name))
    for client in clients.values():
        client.__exit__()


def test_a_sender_writes_its_own_topics_alone_and_ingest_hears_them(site: Secured) -> None:
    with (
        Client(site, site.certificate("ingest-all")) as ingest,
        Client(site, site.certificate("logger-1")) as logger,
        Client(site, site.certificate("sola-e1")) as edge,
    ):
        ingest.subscribe("loggers/logger-1/#")
        logger.publish("loggers/logger-1/kWh", b"17")
        edge.publish("loggers/logger-1/kWh", b"forged")
        logger.publish("loggers/logger-2/kWh", b"forged")
        eventually("ingest heard the logger", lambda: ingest.heard)
        time.sleep(QUIET_S)
        assert ingest.heard == [("loggers/logger-1/kWh", b"17")]


def test_who_is_not_let_in(site: Secured) -> None:
    if not (site.folder / "other").exists():
        hakari("keys", "authority", "new", site.folder / "other", "--name", "plant.example")
    strangers = {
        "no certificate": Client(site, None),
        "another authority": Client(site, site.certificate("sola-e1", ca="other")),
        "expired": Client(site, site.certificate("sola-e1", days=-0.01)),
        "the server's own": Client(site, (site.folder / "broker/server.pem", site.folder / "broker/server.key")),
    }
    assert {what: client.connected for what, client in strangers.items()} == dict.fromkeys(strangers, False)
    unsure = Client(site, site.certificate("sola-e1"), ca="other")
    assert not unsure.connected, "a broker with another authority's certificate was believed"


def test_a_revoked_certificate_is_refused_once_the_broker_has_the_list(site: Secured) -> None:
    files = site.certificate("lost-e1")
    with Client(site, files) as before:
        assert before.connected
    hakari("keys", "authority", "revoke", site.folder / "ca", "--name", "lost-e1")
    shutil.copy(site.folder / "ca" / "crl.pem", site.folder / "broker" / "crl.pem")
    site.reload_broker()
    eventually("the list is in force", lambda: not Client(site, files).connected)
    ours = BrokerSettings(
        "127.0.0.1", site.port, ca_file="ca/ca.pem", certificate_file=files[0].name, key_file=files[1].name
    )
    revoked = mqtt.client(ours, site.folder, "lost-e1", clean=True)
    mqtt.start(revoked, ours)
    eventually("we know why", lambda: "our certificate was revoked" in mqtt.tls_refusal(revoked))
    revoked.disconnect()
    with Client(site, site.certificate("sola-e1")) as other:
        assert other.connected


def leaves_of(folder: Path, edge: str) -> int:
    if not (folder / f"{edge}.spool").exists():
        return 0
    with opened(folder / f"{edge}.spool") as db:
        return int(db.execute("SELECT count(*) FROM leaf").fetchone()[0])


def stored(site: Secured, edge: str) -> int:
    try:
        with closing(SqliteEvidenceLog(site.folder / "evidence.db", read_only=True)) as log:
            return sum(log.head(origin).size for origin in log.origins() if origin.edge_id == edge)
    except EvidenceStoreFailed:  # ingest has not made it yet
        return 0


def clock_of(folder: Path) -> str:
    """How the edge knows the time: without a time service it holds its samples until a mark has told it."""
    return status(folder / "edge.toml").clock


@pytest.fixture(scope="module")
def ingesting(site: Secured) -> Secured:
    certificate, key = site.certificate("ingest-all", days=2.0)
    settings = site.folder / "ingest.toml"
    settings.write_text(
        INGEST.format(
            owner=text_of(str(site.folder / "owner.pem.pub")), port=site.port, certificate=certificate, key=key
        )
    )
    for edge in ("late-e1", "theft-e1"):
        site.enrol(edge)  # before ingest reads the roster
    site.start_room("ingest", "run", "--config", settings, log="ingest.log")
    eventually("ingest hears", lambda: "connected to broker" in (site.folder / "ingest.log").read_text())
    return site


def states(folder: Path) -> dict[str, str]:
    told = load_settings(folder / "edge.toml", {})
    return {check.name: f"{check.state}: {check.detail}" for check in broker_checks(told, folder, running=False)}


def test_fault_23_an_expired_certificate_loses_nothing(ingesting: Secured) -> None:
    folder = ingesting.folder / "late-e1"
    good = states(folder)
    assert all(told.startswith("ok") for told in good.values()), good
    ingesting.start_room("edge", "run", folder / "edge.toml", log="late.log")
    eventually("leaves are stored", lambda: stored(ingesting, "late-e1") > 2)
    eventually("it knows the time", lambda: "unsynchronised" not in clock_of(folder))
    certificate = folder / "late-e1.tls.pem"
    ingesting.stop_broker()
    with AuthorityFolder(ingesting.folder / "ca") as authority:
        public = pki.certificate_of(certificate.read_bytes()).public_key()
        past = datetime.now(UTC) - timedelta(days=2)
        certificate.write_bytes(authority.issue_client(public, "late-e1", past, 1))  # type: ignore[arg-type]
    ingesting.start_broker()
    before = stored(ingesting, "late-e1")
    eventually("the edge buffers", lambda: leaves_of(folder, "late-e1") > before + 3)
    assert stored(ingesting, "late-e1") == before
    assert "is expired, its end is" in (ingesting.folder / "late.log").read_text()
    assert "it says that our certificate has ended" in (ingesting.folder / "late.log").read_text()
    assert states(folder)["own certificate"] == "fail: expired 1 days ago"
    assert "our certificate has ended" in states(folder)["TLS"]
    waiting = leaves_of(folder, "late-e1")
    renewed = folder / "renewed.pem"
    hakari("keys", "authority", "renew", ingesting.folder / "ca", "--name", "late-e1", "--out", renewed)
    renewed.replace(certificate)
    eventually("all that was buffered is stored", lambda: stored(ingesting, "late-e1") > waiting, 40)


def test_fault_36_leaves_of_a_stolen_key_are_refused_within_seconds(ingesting: Secured) -> None:
    folder = ingesting.folder / "theft-e1"
    ingesting.start_room("edge", "run", folder / "edge.toml", log="theft.log")
    eventually("leaves are stored", lambda: stored(ingesting, "theft-e1") > 2)
    with closing(SqliteEvidenceLog(ingesting.folder / "evidence.db", read_only=True)) as log:
        origin = next(one for one in log.origins() if one.edge_id == "theft-e1")
    first_refused = stored(ingesting, "theft-e1") + 4
    hakari("keys", "roster", "revoke", ingesting.folder / "roster.note", "--owner", ingesting.folder / "owner.pem",
           "--edge", "theft-e1", "--epoch", origin.epoch, "--from-leaf", first_refused)  # fmt: skip
    began_s = time.monotonic()
    told = f"leaf {first_refused} is signed by an ended key of edge theft-e1"

    def refused() -> bool:
        with closing(SqliteEvidenceLog(ingesting.folder / "evidence.db", read_only=True)) as log:
            return any(told in one.reason for one in log.quarantined())

    eventually("a leaf was refused", refused, 60)
    assert time.monotonic() - began_s < 300
    assert stored(ingesting, "theft-e1") == first_refused
    assert leaves_of(folder, "theft-e1") > first_refused
