"""The roster: what holds where, what it refuses to say, and every flipped byte of its note."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.errors import REFUSED
from hakari.log import rosterfile
from hakari.log.keyfile import KeyFileExists, public_bytes
from hakari.log.mark import Cosigner
from hakari.log.note import SigningKey, sign
from hakari.log.roster import (
    MAX_EDGE_KEYS,
    MAX_NAMED_KEYS,
    ApprovedEpoch,
    EdgeKey,
    NamedKey,
    Roster,
    RosterInvalid,
    open_roster,
    sign_roster,
)


def private(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))


def public(seed: int) -> str:
    return base64.b64encode(public_bytes(private(seed))).decode()


def ingest(seed: int, name: str = "plant.example/ingest") -> NamedKey:
    return NamedKey(name, str(Cosigner(name, private(seed)).verifier))


def calc(seed: int, name: str = "plant.example/calc") -> NamedKey:
    return NamedKey(name, str(SigningKey(name, private(seed)).verifier))


OWNER = SigningKey("plant.example/owner", private(1))
ROSTER = Roster(
    namespace="plant.example",
    serial=3,
    edges=[EdgeKey("sola-e1", public(10)), EdgeKey("boil-e1", public(11), 100, 5, 200, 9)],
    epochs=[ApprovedEpoch("sola-e1", 1467331200), ApprovedEpoch("boil-e1", 150)],
    cosigners=[ingest(20)],
    statement_keys=[calc(30)],
)
NOTE = sign_roster(ROSTER, OWNER)


def test_round_trip() -> None:
    assert open_roster(NOTE, OWNER.verifier) == ROSTER
    assert NOTE.startswith(
        b'hakari roster v1\n{"namespace":"plant.example","serial":3,"edges":[{"edge":"sola-e1","key":"'
    )
    assert [str(key) for key in ROSTER.cosigner_keys()] == [ingest(20).key]
    assert [str(key) for key in ROSTER.statement_verifiers()] == [calc(30).key]
    empty = Roster("plant.example", 1)
    assert open_roster(sign_roster(empty, OWNER), OWNER.verifier) == empty


def test_key_holds_from_until() -> None:
    first, second = public_bytes(private(11)), public_bytes(private(12))
    roster = replace(ROSTER, edges=[*ROSTER.edges, EdgeKey("boil-e1", public(12), 200, 9)])
    expected = [(99, 10**6, None), (100, 4, None), (100, 5, first), (150, 0, first), (200, 8, first)]
    expected += [(200, 9, second), (201, 0, second), (2**40, 2**53, second)]
    for epoch, size, key in expected:
        assert roster.edge_key("boil-e1", epoch, size) == key
    assert ROSTER.edge_key("boil-e1", 200, 9) is None
    assert ROSTER.edge_key("sola-e1", 0, 0) == public_bytes(private(10))
    assert ROSTER.edge_key("sola-e2", 0, 0) is None


def test_only_listed_epochs_are_approved() -> None:
    assert ROSTER.approved("sola-e1", 1467331200)
    assert not ROSTER.approved("sola-e1", 1467331201)
    assert not ROSTER.approved("boil-e1", 1467331200)


def test_a_list_given_to_it_cannot_change_it() -> None:
    edges = [EdgeKey("sola-e1", public(10))]
    roster = Roster("plant.example", 1, edges)
    edges.append(EdgeKey("sola-e1", public(11)))
    assert len(roster.edges) == 1


def contradictions() -> dict[str, dict[str, object]]:
    key, edge = public(40), "sola-e1"
    return {
        "namespace": {"namespace": "Plant"},
        "serial zero": {"serial": 0},
        "serial large": {"serial": 2**60},
        "edge id": {"edges": [EdgeKey("sola", key)]},
        "edge key not base64": {"edges": [EdgeKey(edge, key[:-1])]},
        "edge key zero": {"edges": [EdgeKey(edge, base64.b64encode(bytes(32)).decode())]},
        "edge key short": {"edges": [EdgeKey(edge, base64.b64encode(bytes(31)).decode())]},
        "half an end": {"edges": [EdgeKey(edge, key, until_epoch=5)]},
        "other half": {"edges": [EdgeKey(edge, key, until_size=5)]},
        "ends at start": {"edges": [EdgeKey(edge, key, 5, 5, 5, 5)]},
        "negative": {"edges": [EdgeKey(edge, key, -1, 0)]},
        "too large": {"edges": [EdgeKey(edge, key, 2**41, 0)]},
        "overlap": {"edges": [EdgeKey(edge, public(41), 0, 0, 9, 0), EdgeKey(edge, key, 8, 0)]},
        "overlap without end": {"edges": [EdgeKey(edge, key, 8, 0), EdgeKey(edge, public(41))]},
        "shared by edges": {"edges": [EdgeKey(edge, key), EdgeKey("sola-e2", key)]},
        "epoch of no edge": {"epochs": [ApprovedEpoch("sola-e9", 1)]},
        "epoch negative": {"epochs": [ApprovedEpoch(edge, -1)]},
        "epoch twice": {"epochs": [ApprovedEpoch(edge, 1), ApprovedEpoch(edge, 1)]},
        "cosigner of the other type": {"cosigners": [calc(40)]},
        "statement key of the other type": {"statement_keys": [ingest(40)]},
        "another name": {"cosigners": [NamedKey("x", ingest(40).key)]},
        "same name": {"cosigners": [ingest(40), ingest(41)]},
        "same key": {"cosigners": [ingest(40), ingest(40, "second")]},
        "cosigner is edge": {"cosigners": [ingest(10)]},
        "statement is cosigner": {"statement_keys": [calc(20)]},
        "not a key": {"cosigners": [NamedKey("x", "x")]},
        "many edges": {"edges": [EdgeKey(edge, key)] * (MAX_EDGE_KEYS + 1)},
        "many cosigners": {"cosigners": [ingest(50 + k, f"n{k}") for k in range(MAX_NAMED_KEYS + 1)]},
    }


@pytest.mark.parametrize("change", contradictions().values(), ids=contradictions().keys())
def test_contradictions_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(RosterInvalid):
        replace(ROSTER, **{"epochs": (), **change})  # type: ignore[arg-type]


def test_the_owner_key_serves_nothing_else() -> None:
    for change in ({"edges": [EdgeKey("sola-e1", public(1))], "epochs": []}, {"statement_keys": [calc(1)]}):
        with pytest.raises(RosterInvalid, match="owner's own key"):
            sign_roster(replace(ROSTER, **change), OWNER)
        forged = sign(replace(ROSTER, **change).text(), OWNER)
        refused(forged)


def refused(note: bytes) -> None:
    with pytest.raises(RosterInvalid):
        open_roster(note, OWNER.verifier)


def test_every_changed_byte_cut_and_insertion_is_refused() -> None:
    for k in range(len(NOTE)):
        for changed in (NOTE[k] ^ 1, NOTE[k] ^ 0x80, NOTE[k] ^ 0x20):
            refused(NOTE[:k] + bytes([changed]) + NOTE[k + 1 :])
        refused(NOTE[:k])
        refused(NOTE[:k] + NOTE[k + 1 :])
        refused(NOTE[:k] + b"A" + NOTE[k:])


def test_other_signers_and_more_lines_are_refused() -> None:
    refused(sign_roster(ROSTER, SigningKey(OWNER.name, private(2))))
    refused(sign_roster(ROSTER, SigningKey("other", private(1))))
    refused(NOTE + sign("x\n", SigningKey("other", private(2))).split(b"\n\n")[1])
    refused(NOTE + NOTE.split(b"\n\n")[1])


def forms() -> dict[str, str]:
    text = ROSTER.text()
    content = ROSTER.content()
    return {
        "other header": text.replace("v1", "v2"),
        "space": text.replace(",", ", ", 1),
        "two lines": text.replace(",", ",\n", 1),
        "repeated field": text.replace('"serial":3', '"serial":2,"serial":3'),
        "unknown field": text.replace('"serial":3', '"serial":3,"extra":1'),
        "unknown field in a key": text.replace('"edge":"sola-e1",', '"edge":"sola-e1","x":1,', 1),
        "order": f"hakari roster v1\n{json.dumps(dict(reversed(content.items())), separators=(',', ':'))}\n",
        "float": text.replace('"serial":3', '"serial":3.0'),
        "true": text.replace('"serial":3', '"serial":true'),
        "string": text.replace('"serial":3', '"serial":"3"'),
        "exponent": text.replace('"serial":3', '"serial":3e0'),
        "NaN": text.replace('"serial":3', '"serial":NaN'),
        "endless number": text.replace('"serial":3', '"serial":' + "9" * 5000),
        "escape": text.replace("plant", "\\u0070lant", 1),
        "missing field": text.replace('"serial":3,', ""),
        "list": "hakari roster v1\n[]\n",
        "list of numbers": text.replace(ROSTER.text().split('"edges":')[1].split(',"epochs"')[0], "[1]"),
        "null": "hakari roster v1\nnull\n",
        "deep": "hakari roster v1\n" + "[" * 100_000 + "\n",
        "nothing": "hakari roster v1\n",
        "no line feed at the end of JSON": f"{text}\n",
    }  # fmt: skip


@pytest.mark.parametrize("text", forms().values(), ids=forms().keys())
def test_other_forms_are_refused_even_when_signed(text: str) -> None:
    assert text != ROSTER.text()
    refused(sign(text, OWNER))


def test_following_and_ended() -> None:
    ended = ROSTER.ended("sola-e1", 1467331200, 40)
    assert ended.serial == 4
    assert ended.edge_key("sola-e1", 1467331200, 40) == public_bytes(private(10))
    assert ended.edge_key("sola-e1", 1467331200, 41) is None
    for edge_id in ("boil-e1", "none-e1"):
        with pytest.raises(RosterInvalid, match="no key without an end"):
            ROSTER.ended(edge_id, 1, 1)


def test_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "roster.note"
    rosterfile.create(path, lambda: ROSTER, OWNER)
    with pytest.raises(KeyFileExists):
        rosterfile.create(path, lambda: ROSTER, OWNER)
    (tmp_path / "roster.note.new").write_text("left over")
    changed = rosterfile.amend(path, OWNER, lambda old: old.following(epochs=[]))
    assert changed.serial == 4
    assert rosterfile.read(path, OWNER.verifier) == changed
    assert [file.name for file in tmp_path.iterdir()] == ["roster.note"]


def test_a_change_that_contradicts_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "roster.note"
    rosterfile.create(path, lambda: ROSTER, OWNER)
    changes = [
        lambda old: old.following(edges=[]),
        lambda old: old,
        lambda old: replace(old, serial=2),
        lambda old: replace(old, serial=9, namespace="other.example"),
    ]
    for change in changes:
        with pytest.raises(rosterfile.RosterRefused, match="stays as it is") as caught:
            rosterfile.amend(path, OWNER, change)
        assert caught.value.exit_code == REFUSED
    assert path.read_bytes() == NOTE


def test_missing_or_foreign_roster_file(tmp_path: Path) -> None:
    with pytest.raises(rosterfile.RosterFileInvalid):
        rosterfile.read(tmp_path / "missing", OWNER.verifier)
    with pytest.raises(rosterfile.RosterFileInvalid):
        rosterfile.read(tmp_path, OWNER.verifier)
    (tmp_path / "garbage").write_bytes(b"\xff" * 100)
    with pytest.raises(RosterInvalid):
        rosterfile.read(tmp_path / "garbage", OWNER.verifier)


def watched(path: Path) -> tuple[rosterfile.Watched, Roster]:
    """A process that began with the roster in `path`."""
    found = rosterfile.Watched(path, OWNER.verifier, ROSTER.namespace)
    return found, found.read()


def test_a_watched_roster_moves_on_to_a_higher_serial_only(tmp_path: Path) -> None:
    path = tmp_path / "roster.note"
    rosterfile.create(path, lambda: ROSTER, OWNER)
    file, present = watched(path)
    assert file.again(present) is present
    following = rosterfile.amend(path, OWNER, lambda old: old.following(epochs=[]))
    assert file.again(present) == following
    assert file.again(following) is following
    path.write_bytes(NOTE)
    assert file.again(following) is following
    path.write_bytes(sign_roster(replace(following, cosigners=[]), OWNER))
    assert file.again(following) is following


def test_a_watched_roster_that_goes_bad_is_kept_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "roster.note"
    rosterfile.create(path, lambda: ROSTER, OWNER)
    file, present = watched(path)
    path.write_bytes(NOTE.replace(b"sola-e1", b"sola-e2"))
    assert [file.again(present) for _ in range(3)] == [present] * 3
    path.unlink()
    assert [file.again(present) for _ in range(3)] == [present] * 3
    path.mkdir()
    assert file.again(present) is present
    path.rmdir()
    path.write_bytes(sign_roster(replace(ROSTER, serial=9, namespace="other.example"), OWNER))
    assert file.again(present) is present
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 4
    assert all(f"serial {ROSTER.serial} stays in force" in one for one in said)
    path.write_bytes(sign_roster(ROSTER.following(epochs=[]), OWNER))
    assert file.again(present).serial == ROSTER.serial + 1


def test_a_watched_roster_that_is_bad_from_the_start_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roster.note"
    for content, said in ((None, "cannot be read"), (b"x", "check roster_file and owner"), (NOTE, "is of namespace")):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(rosterfile.RosterFileInvalid, match=said):
            rosterfile.Watched(path, OWNER.verifier, "other.example").read()
