"""Stored marks: C2SP cosignature/v1, bound to time, checkpoint and cosigner."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.log.checkpoint import Checkpoint, CheckpointInvalid, open_checkpoint, sign_checkpoint
from hakari.log.keyfile import public_bytes
from hakari.log.mark import MAX_TIME_S, Cosigner, Mark, MarkInvalid, cosign, cosigned_at, open_mark
from hakari.log.note import NoteInvalid, SigningKey, VerifierKey, compose, open_note, sign, take_apart
from hakari.log.tree import EMPTY_ROOT, leaf_hash
from hakari.names import Origin

INGEST = Cosigner("plant.example/ingest", Ed25519PrivateKey.from_private_bytes(b"\x03" * 32))
KEYS = [INGEST.verifier]
CHECKPOINT = Checkpoint(Origin("plant.example", "sola-e1", 1467331200), 7, leaf_hash(b"root"))
TIME_S = 1467356400
MARK = cosign(CHECKPOINT, INGEST, TIME_S)


def test_a_published_cosignature_holds() -> None:
    """The witness remora.n621.de (key: transparency-dev/formats, note_cosigv1_test.go) on the log Arche."""
    text = "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n"
    line = (
        "— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/"
        "zZ0WBxtqB0DrAWfBw==\n"
    )
    key = VerifierKey.parse("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2")
    signature = take_apart(f"{text}\n{line}".encode()).signatures[0]
    assert signature.key_id == key.key_id
    assert cosigned_at(text, signature.blob, key) == 0x6A122120
    assert cosigned_at(text.replace("1432088532", "1432088533"), signature.blob, key) is None


def test_bytes_are_those_of_the_specification() -> None:
    text = CHECKPOINT.text()
    public = public_bytes(INGEST.private)
    key_id = hashlib.sha256(b"plant.example/ingest\n\x04" + public).digest()[:4]
    message = f"cosignature/v1\ntime 1467356400\n{text}".encode()
    blob = key_id + (1467356400).to_bytes(8, "big") + INGEST.private.sign(message)
    assert f"{text}\n— plant.example/ingest {base64.b64encode(blob).decode()}\n".encode() == MARK


def test_round_trip() -> None:
    assert open_mark(MARK, KEYS) == Mark(CHECKPOINT, TIME_S, "plant.example/ingest")
    empty = Checkpoint(CHECKPOINT.origin, 0, EMPTY_ROOT)
    for time_s in (0, MAX_TIME_S):
        assert open_mark(cosign(empty, INGEST, time_s), KEYS) == Mark(empty, time_s, INGEST.name)


def test_every_flipped_bit_cut_and_insertion_is_refused() -> None:
    """The time too: it is inside the signature line."""
    for k in range(len(MARK)):
        for bit in range(8):
            changed = bytearray(MARK)
            changed[k] ^= 1 << bit
            refused(bytes(changed))
        refused(MARK[:k])
        refused(MARK[:k] + MARK[k + 1 :])
        refused(MARK[:k] + b"A" + MARK[k:])


def refused(mark: bytes, keys: list[VerifierKey] = KEYS) -> None:
    with pytest.raises(MarkInvalid):
        open_mark(mark, keys)


def test_other_signers_are_refused() -> None:
    stranger = Cosigner(INGEST.name, Ed25519PrivateKey.from_private_bytes(b"\x04" * 32))
    refused(cosign(CHECKPOINT, stranger, TIME_S))
    refused(cosign(CHECKPOINT, Cosigner("other", INGEST.private), TIME_S))
    refused(MARK, [])
    assert open_mark(MARK, [stranger.verifier, *KEYS]).signer == INGEST.name


def test_a_plain_signature_is_no_mark_and_a_mark_no_checkpoint() -> None:
    """Domain separation: the same key and name under the other signature type."""
    as_plain = SigningKey(INGEST.name, INGEST.private)
    refused(sign(CHECKPOINT.text(), as_plain))
    refused(sign(CHECKPOINT.text(), as_plain), [as_plain.verifier])
    blob = take_apart(MARK).signatures[0].blob
    refused(compose(CHECKPOINT.text(), as_plain.verifier, blob), [as_plain.verifier])
    with pytest.raises(NoteInvalid):
        open_note(MARK, KEYS)
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(MARK, public_bytes(INGEST.private))
    refused(sign_checkpoint(CHECKPOINT, INGEST.private))


def test_times_outside_are_refused() -> None:
    for time_s in (-1, MAX_TIME_S + 1, 2**64):
        with pytest.raises(MarkInvalid, match="time"):
            cosign(CHECKPOINT, INGEST, time_s)
    text = CHECKPOINT.text()
    message = f"cosignature/v1\ntime {2**63}\n{text}".encode()
    refused(compose(text, INGEST.verifier, (2**63).to_bytes(8, "big") + INGEST.private.sign(message)))


def test_blobs_of_other_lengths_are_refused() -> None:
    text = CHECKPOINT.text()
    blob = take_apart(MARK).signatures[0].blob
    for changed in (blob[:-1], blob + b"\x00", blob[8:], blob[:8], blob[:7], b"\x00", blob * 2):
        refused(compose(text, INGEST.verifier, changed))


def test_a_mark_has_one_signature_line_and_no_extension() -> None:
    refused(MARK + MARK.split(b"\n\n")[1])
    text = CHECKPOINT.text() + "extension\n"
    message = f"cosignature/v1\ntime 5\n{text}".encode()
    refused(compose(text, INGEST.verifier, (5).to_bytes(8, "big") + INGEST.private.sign(message)))


def test_frozen_is_bound_by_the_signature() -> None:
    frozen = cosign(CHECKPOINT, INGEST, TIME_S, frozen=True)
    assert open_mark(frozen, KEYS) == Mark(CHECKPOINT, TIME_S, INGEST.name, frozen=True)
    assert not open_mark(MARK, KEYS).frozen
    refused(frozen.replace(b"frozen\n", b""))
    refused(MARK.replace(b"\n\n", b"\nfrozen\n\n"))
    for line in ("frozen\nfrozen\n", "Frozen\n", "frozen \n"):
        text = CHECKPOINT.text() + line
        message = f"cosignature/v1\ntime 5\n{text}".encode()
        refused(compose(text, INGEST.verifier, (5).to_bytes(8, "big") + INGEST.private.sign(message)))
    for k in range(len(frozen)):
        refused(frozen[:k] + bytes([frozen[k] ^ 1]) + frozen[k + 1 :])


def test_impossible_checkpoints_are_not_cosigned() -> None:
    with pytest.raises(CheckpointInvalid):
        cosign(Checkpoint(CHECKPOINT.origin, 0, leaf_hash(b"x")), INGEST, TIME_S)
