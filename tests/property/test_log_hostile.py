"""Whatever the bytes: each parser either gives what writes back to the same bytes, or one error of its own."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hakari.log.checkpoint import Checkpoint, CheckpointInvalid, claimed, open_checkpoint, sign_checkpoint
from hakari.log.keyfile import public_bytes
from hakari.log.mark import Cosigner, MarkInvalid, cosign, open_mark
from hakari.log.note import NoteInvalid, SigningKey, VerifierKey, decode64, open_note, sign, take_apart
from hakari.log.roster import EdgeKey, Roster, RosterInvalid, open_roster, sign_roster
from hakari.log.tree import EMPTY_ROOT, leaf_hash
from hakari.names import Origin

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
OWNER = SigningKey("plant.example/owner", PRIVATE)
INGEST = Cosigner("plant.example/ingest", PRIVATE)
CHECKPOINT = Checkpoint(Origin("plant.example", "sola-e1", 5), 3, leaf_hash(b"x"))
EDGE_KEY = "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
ROSTER = Roster("plant.example", 1, edges=[EdgeKey("sola-e1", EDGE_KEY)])
NOTES = [
    sign("a\n\nb\n", OWNER),
    sign_checkpoint(CHECKPOINT, PRIVATE),
    cosign(CHECKPOINT, INGEST, 7),
    sign_roster(ROSTER, OWNER),
]
PIECES = [
    b"\n",
    b"\n\n",
    "— ".encode(),
    b"plant.example/sola/e1/5",
    b" ",
    b"0",
    b"=",
    b"+",
    b"\xff",
    b"\r\n",
    b"[",
    b"}",
]

noise = st.binary(max_size=400)
pieces = st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good note with one stretch replaced."""
    note = draw(st.sampled_from(NOTES))
    start = draw(st.integers(0, len(note)))
    end = draw(st.integers(start, min(len(note), start + 8)))
    return note[:start] + draw(st.one_of(st.binary(max_size=6), pieces)) + note[end:]


def opens(read: Callable[[], object], error: type[Exception]) -> bool:
    try:
        read()
    except error:
        return False
    return True


@settings(max_examples=600, deadline=None)
@given(note=st.one_of(noise, pieces, mutated()))
@example(note=NOTES[0])
@example(note=NOTES[1])
@example(note=NOTES[2])
@example(note=NOTES[3])
def test_only_what_was_signed_opens(note: bytes) -> None:
    public = public_bytes(PRIVATE)
    assert opens(lambda: open_note(note, [OWNER.verifier]), NoteInvalid) == (note in (NOTES[0], NOTES[3]))
    assert opens(lambda: open_checkpoint(note, public), CheckpointInvalid) == (note == NOTES[1])
    assert opens(lambda: open_mark(note, [INGEST.verifier]), MarkInvalid) == (note == NOTES[2])
    assert opens(lambda: open_roster(note, OWNER.verifier), RosterInvalid) == (note == NOTES[3])
    opens(lambda: claimed(note), CheckpointInvalid)


@settings(max_examples=300, deadline=None)
@given(note=st.one_of(noise, pieces, mutated()))
def test_a_note_taken_apart_is_put_together_again(note: bytes) -> None:
    """One form: nothing of the bytes is lost in reading."""
    try:
        parts = take_apart(note)
    except NoteInvalid:
        return
    lines = [f"— {name} {b64encode(key_id + blob).decode()}\n" for name, key_id, blob in parts.signatures]
    assert f"{parts.text}\n{''.join(lines)}".encode() == note


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=200), st.just(CHECKPOINT.text()), st.just(str(OWNER.verifier))))
def test_texts_have_one_form(text: str) -> None:
    with suppress(CheckpointInvalid):
        assert Checkpoint.parse(text).text() == text
    with suppress(NoteInvalid):
        assert str(VerifierKey.parse(text)) == text
    with suppress(RosterInvalid):
        assert Roster.parse(text).text() == text
    opens(lambda: decode64(text, "field"), NoteInvalid)


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8", min_codepoint=32), max_size=300).map(lambda t: f"{t}\n"))
def test_any_text_can_be_signed(text: str) -> None:
    assert open_note(sign(text, OWNER), [OWNER.verifier]) == text


@settings(max_examples=100, deadline=None)
@given(size=st.integers(0, 2**53), root=st.binary(min_size=32, max_size=32), time_s=st.integers(0, 2**40))
def test_any_checkpoint_and_mark_round_trip(size: int, root: bytes, time_s: int) -> None:
    checkpoint = Checkpoint(CHECKPOINT.origin, size, root if size else EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(checkpoint, PRIVATE), public_bytes(PRIVATE)) == checkpoint
    assert open_mark(cosign(checkpoint, INGEST, time_s), [INGEST.verifier])[:2] == (checkpoint, time_s)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_json_of_any_shape_is_no_roster(data: st.DataObject) -> None:
    """Signed by the owner, so that only the reading of it stands between it and the rooms."""
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
    value = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    )
    content = {**ROSTER.content(), data.draw(st.sampled_from(list(ROSTER.content()))): data.draw(value)}
    note = sign(f"hakari roster v1\n{json.dumps(content, separators=(',', ':'))}\n", OWNER)
    with suppress(RosterInvalid):
        assert open_roster(note, OWNER.verifier).content() == content


def test_strangers_never_open() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"\x06" * 32)
    for forged in (sign_checkpoint(CHECKPOINT, stranger), cosign(CHECKPOINT, Cosigner(INGEST.name, stranger), 7)):
        with pytest.raises(CheckpointInvalid):
            open_checkpoint(forged, public_bytes(PRIVATE))
        with pytest.raises(MarkInvalid):
            open_mark(forged, [INGEST.verifier])
