"""A hostile or broken sender against a real broker and a real ingest: refused with its reason, and ingest lives on."""

from __future__ import annotations

import random
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from hakari.log.checkpoint import Checkpoint, sign_checkpoint
from hakari.log.tree import leaf_hash, root_of
from hakari.names import Origin, batch_topic
from hakari.registers.profile import Point, Profile
from hakari.wire.configuration import Meter, MeteringConfiguration, text_of
from hakari.wire.envelope import MAX_MESSAGE_BYTES, deflate
from hakari.wire.leaf import MAX_CARRIER_BYTES, Carried, ConfigurationPart, encode
from simulate.layout import argv, call
from tests.system.chain import PLANTS, Chain, mosquitto, solar
from tests.system.forge import Forge, Sender, envelope, eventually, on_the_clock

pytestmark = pytest.mark.system

EDGE, OTHER = "solar-e1", "boiler-e1"
START, END = "2016-07-01T00:00:00-07:00", "2016-07-02T00:00:00-07:00"
BROKERS = ["amqtt", pytest.param("mosquitto", marks=pytest.mark.skipif(not mosquitto(), reason="no Mosquitto here"))]
BROKER_LIMIT_BYTES = 256 * 1024


class Case(NamedTuple):
    """A message and a part of the sentence that it is refused with."""

    payload: bytes
    reason: str


@pytest.fixture(scope="module", params=BROKERS)
def chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Broker and ingest of two edges, on the machine's clock."""
    plants = [solar(), ("boiler", (PLANTS / "boiler.toml").read_text())]
    folder = tmp_path_factory.mktemp("hostile")
    with on_the_clock(Chain(folder, plants, START, END, step_s=1, broker=request.param)) as chain:
        chain.start("broker")
        chain.processes.wait_listening("broker", "127.0.0.1", chain.layout.broker_port)
        chain.start("ingest")
        with Sender(chain.layout, OTHER) as sender:
            sender.settle(Forge(chain.folder, OTHER, 1).plain(), 1, 1)
        yield chain
        chain.processes.check()


def ask(chain: Chain, *words: str, allow: tuple[int, ...] = (0,)) -> Any:
    """What a command of ingest prints."""
    return call(*words, "--config", chain.layout.ingest_config, allow=allow)


def origin_of(chain: Chain, epoch: int) -> dict[str, Any]:
    """What `hakari log list` says of the epoch of EDGE."""
    name = str(Origin("demo.hakari.example", EDGE, epoch))
    return next(one for one in ask(chain, "log", "list")["origins"] if one["origin"] == name)


def refused_leaves(chain: Chain, epoch: int) -> dict[int, str]:
    """leaf → why the view refused it."""
    told = ask(chain, "view", "status")
    return {one["leaf"]: one["reason"] for one in told["refused"] if one["epoch"] == epoch}


def one_meter(edge_id: str) -> str:
    """The text of a configuration with one meter of one counter."""
    point = Point(name="energy", address=0, type="u32", kind="counter", unit="Wh")
    profile = Profile(id="one", maker="m", model="m", source="s", standing="excerpt", points=[point])
    return text_of(MeteringConfiguration(1, edge_id, 1000, 60_000, [Meter("main", "bus", 1, "", profile)]))


def hostile(forge: Forge) -> dict[str, Case]:
    """Messages that ingest cannot take, none of which changes the forged log."""
    good = encode(forge.leaf())
    sealed = forge.aside(good)
    stranger = Forge(Path(), EDGE, forge.origin.epoch, Ed25519PrivateKey.generate())
    foreign = Forge(Path(), EDGE, forge.origin.epoch, forge.key)
    foreign.origin = foreign.origin._replace(namespace="other.example")
    flipped = bytearray(sealed)
    flipped[40] ^= 1
    note = sign_checkpoint(Checkpoint(forge.origin, forge.size + 1, root_of((leaf_hash(b"another"),))), forge.key)
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    inflated = bomb.compress(bytes(50_000_000)) + bomb.flush()
    return {
        "garbage": Case(b"garbage", "does not begin with version 1"),
        "nothing": Case(b"", "does not begin with version 1"),
        "noise": Case(random.Random(1).randbytes(1000), "does not begin with version 1"),
        "noise after a version": Case(b"\x01" + random.Random(2).randbytes(1000), "checkpoint"),
        "cut in its checkpoint": Case(sealed[:100], "cut off inside its checkpoint"),
        "cut in its leaf": Case(sealed[:-1], "leaf is cut off"),
        "followed by more": Case(sealed + b"\0", "bytes after its end"),
        "no deflate": Case(forge.aside(good, deflated=b"\xff" * 50), "leaf is not deflated data"),
        "bomb": Case(forge.aside(good, deflated=inflated), f"inflates to more than {MAX_CARRIER_BYTES} bytes"),
        "one byte too long": Case(
            sealed + b"\0" * (MAX_MESSAGE_BYTES + 1 - len(sealed)), "has 98305 bytes, limit 98304"
        ),
        "what both brokers let through": Case(bytes(120_000), "has 120000 bytes, limit 98304"),
        "unknown key": Case(stranger.plain(), "checkpoint"),
        "flipped": Case(bytes(flipped), ""),
        "another namespace": Case(foreign.aside(good), "does not belong to topic"),
        "empty tree": Case(forge.aside(good, size=0), "must be of size 1 or more"),
        "another body": Case(envelope(note, deflate(good)), "does not give the signed root"),
    }


def test_bad_input_26_29_30_what_cannot_be_taken_is_quarantined_with_its_reason(chain: Chain) -> None:
    forge = Forge(chain.folder, EDGE, 1000)
    first = forge.plain()
    before = _total(chain)
    cases = hostile(forge)
    stolen = forge.aside(encode(forge.leaf()))
    with Sender(chain.layout, EDGE) as sender, Sender(chain.layout, OTHER) as other:
        sender.settle(first, 1000, 1)
        for case in cases.values():
            sender.send(case.payload)
        other.send(stolen)
        heard = sender.heard
        sender.send(first)
        eventually("a replayed message is answered with a mark", lambda: sender.heard > heard)
        sender.settle(forge.plain(), 1000, 2)
    eventually("everything is looked at", lambda: _total(chain) == before + len(cases) + 1)
    with closing(chain.evidence()) as evidence:
        kept = {entry.payload: entry for entry in evidence.quarantined(len(cases) + 1)}
    for name, case in cases.items():
        assert case.reason in kept[case.payload].reason, name
        assert "\n" not in kept[case.payload].reason
    assert kept[stolen].source == batch_topic(OTHER)
    assert "does not belong to topic" in kept[stolen].reason
    listed = {entry["id"]: entry["reason"] for entry in ask(chain, "quarantine", "list")["messages"]}
    assert listed.items() >= {entry.id: entry.reason for entry in kept.values()}.items()
    shown = subprocess.run(
        argv("quarantine", "show", str(kept[b"garbage"].id), "--raw", "--config", chain.layout.ingest_config),
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert shown.stdout == b"garbage"
    assert origin_of(chain, 1000)["size"] == 2
    chain.processes.check()


def _total(chain: Chain) -> int:
    with closing(chain.evidence()) as evidence:
        return sum(evidence.quarantine_total()[::2])


def test_a_message_of_the_limit_is_taken(chain: Chain) -> None:
    forge = Forge(chain.folder, EDGE, 1100)
    # Empty stored blocks of deflate are five bytes each; a longer name makes up for the rest.
    bodies = [encode(msgspec.structs.replace(forge.leaf(), sw=bytes(range(65, 65 + k)).decode())) for k in range(40)]
    spares = [MAX_MESSAGE_BYTES - len(forge.aside(body)) for body in bodies]
    body, spare = next(pair for pair in zip(bodies, spares, strict=True) if pair[1] % 5 == 0)
    message = forge.next(body, pad=spare // 5)
    assert len(message) == MAX_MESSAGE_BYTES
    with Sender(chain.layout, EDGE) as sender:
        sender.settle(message, 1100, 1)
        sender.settle(forge.plain(), 1100, 2)


def test_bad_input_26_a_huge_message_harms_nobody_else(chain: Chain) -> None:
    huge = bytes(8 * BROKER_LIMIT_BYTES)
    forge = Forge(chain.folder, OTHER, 1200)
    with Sender(chain.layout, OTHER) as other:
        other.settle(forge.plain(), 1200, 1)
        with Sender(chain.layout, EDGE) as sender:
            sender.toss(huge)
            other.settle(forge.plain(), 1200, 2)
        other.settle(forge.plain(), 1200, 3)


def test_bad_input_26_27_31_32_signed_nonsense_is_kept_as_evidence_and_refused_in_the_view(chain: Chain) -> None:
    epoch = 1300
    forge = Forge(chain.folder, EDGE, epoch)
    cfg, sent = forge.configure(one_meter(EDGE))
    now_ms = time.time_ns() // 1_000_000
    good = encode(forge.leaf())
    expected: dict[int, str] = {}

    def add(body: bytes, reason: str) -> None:
        expected[forge.size] = reason
        sent.append(forge.next(body))

    add(b"", "leaf body is not a leaf")
    add(b"\xff\xfe", "leaf body is not a leaf")
    add(b"null", "Expected `object`, got `null`")
    add(b"[" * 60_000, "leaf body is not a leaf")
    add(good[:-1] + b',"events":' + b'[{"kind":"x","wall_ms":1,"data":' * 1500, "leaf body is not a leaf")
    add(good[:-1] + b',"i":7}', "is not in its one form")
    add(good.replace(b'"v":1', b'"v":1.0'), "leaf body is not a leaf")
    add(good.replace(b'"mono_ms":1', b'"mono_ms":NaN'), "leaf body is not a leaf")
    add(good.replace(b'"mono_ms":1', b'"mono_ms":1e3'), "Expected `int`, got `float`")
    add(good.replace(b'"mono_ms":1', b'"mono_ms":-1'), "leaf body is not a leaf")
    add(good.replace(b'"mono_ms":1', b'"mono_ms":' + b"9" * 5000), "leaf body is not a leaf")
    add(good.replace(b":", b": "), "is not in its one form")
    add(good.replace(b'"sw":"', b'"sw":"\\ud800'), "leaf body is not a leaf")
    add(good.replace(b'"v":1', b'"v":2'), "leaf version 2 is not known")
    add(good[:-1] + b',"x":1}', "unknown field `x`")
    add(b'{"' + b"a" * 50_000 + b'":1}', "leaf body is not a leaf")
    add(encode(msgspec.structs.replace(forge.leaf(), edge=OTHER)), f"leaf says it is {OTHER}")
    add(encode(msgspec.structs.replace(forge.leaf(), i=999)), "/999 but stands at")
    part = ConfigurationPart(sha256="0" * 64, part=0, of=1, text="{}")
    add(encode(msgspec.structs.replace(forge.leaf(), configuration=part)), "configuration parts do not give their hash")
    carried = Carried(epoch=epoch - 1, i=0, body="!")
    add(encode(msgspec.structs.replace(forge.leaf(), carried=carried)), "is not base64")
    add(encode(forge.sampled(cfg, now_ms + 400_000, 1, 1)), "s in the future of leaf 1300/")
    add(encode(forge.sampled(cfg, now_ms, 2, 2, meter="ghost")), "meter 'ghost' of configuration")
    add(encode(forge.sampled("f" * 64, now_ms, 3, 3)), "was not logged before leaf")
    sent.append(forge.next(encode(forge.sampled(cfg, now_ms, 4, 77))))
    with Sender(chain.layout, EDGE) as sender:
        sender.settle(sent[0], epoch, 1)
        for message in sent[1:]:
            sender.send(message)
        sender.settle(sent[-1], epoch, forge.size)
    eventually("the view has followed", lambda: max(refused_leaves(chain, epoch), default=0) >= max(expected))
    refused = refused_leaves(chain, epoch)
    assert set(refused) == set(expected)
    for leaf, reason in expected.items():
        assert reason in refused[leaf], leaf
        assert "\n" not in refused[leaf]
        assert len(refused[leaf]) < 500
    assert _rows(chain, f"{EDGE}/main/energy", epoch) == [(now_ms, 77)]
    report = ask(chain, "log", "fsck", allow=(5,))
    assert {one["leaf"] for one in report["problems"] if f"/{epoch}" in one["origin"]} <= set(expected)


def _rows(chain: Chain, point: str, epoch: int) -> list[tuple[int, int]]:
    with sqlite3.connect(f"{(chain.folder / 'view.db').as_uri()}?mode=ro", uri=True) as view:
        return view.execute(
            "SELECT t_ms, raw FROM reading JOIN point p ON p.id = point WHERE p.name = ? AND epoch = ?", (point, epoch)
        ).fetchall()


def test_bad_input_33_retained_messages_come_again_and_do_nothing(chain: Chain) -> None:
    forge = Forge(chain.folder, EDGE, 1400)
    with Sender(chain.layout, EDGE) as sender:
        old = forge.plain()
        sender.settle(old, 1400, 1)
        sender.settle(forge.plain(), 1400, 2)
        sender.send(old, retain=True)
        assert chain.processes.stop("ingest") == 0
        chain.start("ingest")
        sender.settle(forge.plain(), 1400, 3)
        before = ask(chain, "quarantine", "list")["total"]["kept"]
        sender.send(b"old garbage", retain=True)
        assert chain.processes.stop("ingest") == 0
        chain.start("ingest")
        sender.settle(forge.plain(), 1400, 4)
        told = ask(chain, "quarantine", "list")
        assert told["total"]["kept"] > before
        assert "does not begin with version 1" in told["messages"][0]["reason"]
        sender.send(b"", retain=True)
    assert origin_of(chain, 1400)["size"] == 4


def test_bad_input_35_a_forged_will_is_never_data(chain: Chain) -> None:
    """A will is a message that a broker sends in a client's name: nothing but its signature makes it an edge's."""
    forge = Forge(chain.folder, EDGE, 1450)
    first = forge.plain()
    with Sender(chain.layout, EDGE) as sender:
        sender.settle(first, 1450, 1)
    forged = Forge(Path(), EDGE, 1450, Ed25519PrivateKey.generate())
    before = _total(chain)
    taken = [will for will in (forged.plain(), b"offline") if _die_with(chain, will)]
    if not taken:
        pytest.skip("this broker lets nobody in who brings a will")
    eventually("each will is quarantined", lambda: _total(chain) == before + len(taken))
    with closing(chain.evidence()) as evidence:
        assert {entry.payload for entry in evidence.quarantined(len(taken))} == set(taken)
    assert origin_of(chain, 1450)["size"] == 1
    with Sender(chain.layout, EDGE) as sender:
        sender.settle(forge.plain(), 1450, 2)


def _die_with(chain: Chain, will: bytes) -> bool:
    """A client under the edge's name that loses its connection; whether the broker had taken its will."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=EDGE, clean_session=True, protocol=MQTTProtocolVersion.MQTTv311
    )
    client.username_pw_set(EDGE, (chain.folder / f"{EDGE}.password").read_text().strip())
    client.will_set(batch_topic(EDGE), will, qos=1)
    ready = threading.Event()
    client.on_connect = lambda *_: ready.set()
    client.connect("127.0.0.1", chain.layout.broker_port, 60)
    client.loop_start()
    assert ready.wait(10)
    connection = client.socket()
    client._thread_terminate = True
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    client.loop_stop()
    return connection is not None


def test_two_ingests_on_one_evidence_log(chain: Chain) -> None:
    epoch, count = 1500, 120
    forge = Forge(chain.folder, EDGE, epoch)
    cfg, sent = forge.configure(one_meter(EDGE))
    now_ms = time.time_ns() // 1_000_000 // 1000 * 1000 - count * 1000
    sent += [forge.next(encode(forge.sampled(cfg, now_ms + k * 1000, k, k))) for k in range(count)]
    chain.processes.start("second", argv("ingest", "run", "--config", chain.layout.ingest_config))
    with Sender(chain.layout, EDGE) as sender:

        def stored() -> bool:
            """As an edge does: from the mark on, at most so many at once, again while it stands."""
            mark = sender.marks.get(epoch, 0)
            for message in sent[mark : mark + 40]:
                sender.send(message)
            time.sleep(0.3)
            return sender.marks.get(epoch, 0) == len(sent)

        eventually("everything is stored", stored, 60.0)
    chain.processes.check()
    assert chain.processes.stop("second") == 0
    eventually("the view has followed", lambda: len(_rows(chain, f"{EDGE}/main/energy", epoch)) == count)
    assert origin_of(chain, epoch)["frozen"] is False
    assert _rows(chain, f"{EDGE}/main/energy", epoch) == [(now_ms + k * 1000, k) for k in range(count)]


def test_a_lost_view_is_rebuilt_and_a_flipped_leaf_is_named(chain: Chain) -> None:
    epoch = 1600
    forge = Forge(chain.folder, EDGE, epoch)
    cfg, sent = forge.configure(one_meter(EDGE))
    now_ms = time.time_ns() // 1_000_000 // 1000 * 1000
    sent += [forge.next(encode(forge.sampled(cfg, now_ms + k * 1000, k, 10 * k))) for k in range(5)]
    with Sender(chain.layout, EDGE) as sender:
        for size, message in enumerate(sent, 1):
            sender.settle(message, epoch, size)
    eventually("the view has followed", lambda: len(_rows(chain, f"{EDGE}/main/energy", epoch)) == 5)
    assert chain.processes.stop("ingest") == 0
    before = _whole_view(chain.folder / "view.db")
    for path in chain.folder.glob("view.db*"):
        path.unlink()
    chain.start("ingest")
    eventually("the view is there again", lambda: _whole_view(chain.folder / "view.db") == before)
    assert chain.processes.stop("ingest") == 0
    copy = chain.folder / "flipped"
    copy.mkdir()
    for name in ("evidence.db", "ingest.toml", "roster.note", "view.db"):
        shutil.copy(chain.folder / name, copy)
    chain.start("ingest")
    problems = len(ask(chain, "log", "fsck", allow=(0, 5))["problems"])
    content = bytearray((copy / "evidence.db").read_bytes())
    at = content.find(sent[2][-40:])
    assert at > 0
    content[at + 20] ^= 0x04
    (copy / "evidence.db").write_bytes(bytes(content))
    report = call("log", "fsck", "--config", copy / "ingest.toml", allow=(5,))
    found = [one for one in report["problems"] if one["origin"] == str(forge.origin)]
    assert {one["leaf"] for one in found} >= {2}
    assert found[0]["leaf"] == 2
    assert len(report["problems"]) > problems


def _whole_view(path: Path) -> list[tuple[object, ...]]:
    if not path.exists():
        return []
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as view:
        try:
            return view.execute(
                "SELECT p.name, t_ms, epoch, leaf, b.name, mono_ms, t.name, raw, exponent, quality, reason FROM reading"
                " JOIN point p ON p.id = point JOIN boot b ON b.id = boot JOIN type t ON t.id = type"
                " UNION ALL SELECT edge, epoch, leaf, reason, 0, 0, 0, 0, 0, 0, 0 FROM refused"
                " UNION ALL SELECT edge, epoch, next, 0, 0, 0, 0, 0, 0, 0, 0 FROM cursor ORDER BY 1, 2, 3, 4"
            ).fetchall()
        except sqlite3.OperationalError:
            return []
