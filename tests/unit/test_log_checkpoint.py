"""Checkpoints: one form only, bound to the origin's key, every flipped bit found."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.errors import DataProblem
from hakari.log.checkpoint import (
    MAX_CHECKPOINT_BYTES,
    Checkpoint,
    CheckpointInvalid,
    claimed,
    open_checkpoint,
    sign_checkpoint,
)
from hakari.log.keyfile import public_bytes
from hakari.log.note import SigningKey, open_note, sign
from hakari.log.tree import EMPTY_ROOT, MAX_SIZE, leaf_hash
from hakari.names import Origin

EDGE = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
PUBLIC = public_bytes(EDGE)
ORIGIN = Origin("plant.example", "sola-e1", 1467331200)
CHECKPOINT = Checkpoint(ORIGIN, 7, leaf_hash(b"root"))
NOTE = sign_checkpoint(CHECKPOINT, EDGE)
ROOT_LINE = CHECKPOINT.text().split("\n")[2]


def test_text_is_the_three_lines_of_c2sp() -> None:
    assert CHECKPOINT.text() == f"plant.example/sola/e1/1467331200\n7\n{ROOT_LINE}\n"
    assert len(ROOT_LINE) == 44


def test_round_trip() -> None:
    assert open_checkpoint(NOTE, PUBLIC) == CHECKPOINT
    assert Checkpoint.parse(CHECKPOINT.text()) == CHECKPOINT
    assert claimed(NOTE) == CHECKPOINT
    assert open_note(NOTE, [SigningKey(str(ORIGIN), EDGE).verifier]) == CHECKPOINT.text()


@pytest.mark.parametrize("size", [0, 1, 9, 10, MAX_SIZE])
def test_sizes(size: int) -> None:
    checkpoint = Checkpoint(ORIGIN, size, EMPTY_ROOT if size == 0 else leaf_hash(b"x"))
    assert open_checkpoint(sign_checkpoint(checkpoint, EDGE), PUBLIC) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        f"{ORIGIN}\n7\n{ROOT_LINE}",
        f"{ORIGIN}\n7\n{ROOT_LINE}\nextension\n",
        f"{ORIGIN}\n7\n{ROOT_LINE}\n\n",
        f"{ORIGIN}\n07\n{ROOT_LINE}\n",
        f"{ORIGIN}\n+7\n{ROOT_LINE}\n",
        f"{ORIGIN}\n-7\n{ROOT_LINE}\n",
        f"{ORIGIN}\n7 \n{ROOT_LINE}\n",
        f"{ORIGIN}\n7_0\n{ROOT_LINE}\n",
        f"{ORIGIN}\n\u0667\n{ROOT_LINE}\n",
        f"{ORIGIN}\n\n{ROOT_LINE}\n",
        f"{ORIGIN}\n00\n{ROOT_LINE}\n",
        f"{ORIGIN}\n0\n{ROOT_LINE}\n",
        f"{ORIGIN}\n{MAX_SIZE + 1}\n{ROOT_LINE}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{ROOT_LINE}\n",
        f"{ORIGIN}\n7\n{ROOT_LINE[:-1]}\n",
        f"{ORIGIN}\n7\n{ROOT_LINE[:40]}\n",
        f"{ORIGIN}\n7\n{ROOT_LINE[:42]}B=\n",
        f"{ORIGIN}\n7\n\n",
        f"{ORIGIN}/\n7\n{ROOT_LINE}\n",
        f"plant.example/sola/e1/007\n7\n{ROOT_LINE}\n",
        f"plant.example/so-la/e-1/7\n7\n{ROOT_LINE}\n",
        f"Plant.example/sola/e1/7\n7\n{ROOT_LINE}\n",
        f"plant.example/sola/e1/7 \n7\n{ROOT_LINE}\n",
        f"../sola/e1/7\n7\n{ROOT_LINE}\n",
    ],
)
def test_other_texts_are_refused_even_when_signed(text: str) -> None:
    with pytest.raises(CheckpointInvalid):
        Checkpoint.parse(text)
    if text.endswith("\n"):
        name = text.split("\n", 1)[0].strip() or "x"
        with pytest.raises(CheckpointInvalid):
            open_checkpoint(sign(text, SigningKey(name, EDGE)), PUBLIC)


def test_every_flipped_bit_cut_and_insertion_is_refused() -> None:
    for k in range(len(NOTE)):
        for bit in range(8):
            changed = bytearray(NOTE)
            changed[k] ^= 1 << bit
            refused(bytes(changed))
        refused(NOTE[:k])
        refused(NOTE[:k] + NOTE[k + 1 :])
        refused(NOTE[:k] + b"A" + NOTE[k:])


def refused(note: bytes, public: bytes = PUBLIC) -> None:
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(note, public)


def test_other_keys_are_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
    refused(NOTE, public_bytes(other))
    refused(sign_checkpoint(CHECKPOINT, other))
    refused(NOTE, PUBLIC[:31])
    refused(NOTE, b"")
    refused(NOTE, bytes(32))


def test_the_key_bears_the_origin_as_its_name() -> None:
    for name in ("other", str(ORIGIN._replace(epoch=1467331201)), "plant.example"):
        refused(sign(CHECKPOINT.text(), SigningKey(name, EDGE)))


def test_a_checkpoint_has_one_signature_line() -> None:
    """A second line would make other bytes of the same statement."""
    line = NOTE.split(b"\n\n")[1]
    refused(NOTE + line)
    refused(NOTE + sign("x\n", SigningKey("other", EDGE)).split(b"\n\n")[1])


def test_impossible_checkpoints_are_not_signed() -> None:
    for checkpoint in [
        Checkpoint(ORIGIN, 0, leaf_hash(b"x")),
        Checkpoint(ORIGIN, -1, EMPTY_ROOT),
        Checkpoint(ORIGIN, MAX_SIZE + 1, EMPTY_ROOT),
        Checkpoint(ORIGIN, 1, b"short"),
    ]:
        with pytest.raises(CheckpointInvalid):
            sign_checkpoint(checkpoint, EDGE)


def test_size_is_limited() -> None:
    refused(b"a" * (MAX_CHECKPOINT_BYTES + 1))
    longest = Origin(".".join(["n" * 9] * 10), "-".join(["s" * 31] * 2), 2**40)
    assert len(sign_checkpoint(Checkpoint(longest, MAX_SIZE, EMPTY_ROOT), EDGE)) < MAX_CHECKPOINT_BYTES // 2


def test_claimed_reads_the_form_and_verifies_nothing() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
    assert claimed(sign_checkpoint(CHECKPOINT, stranger)) == CHECKPOINT
    for note in (b"", NOTE[:-1], NOTE + NOTE, CHECKPOINT.text().encode(), NOTE.replace(b"\n7\n", b"\n07\n")):
        with pytest.raises(CheckpointInvalid):
            claimed(note)


@pytest.mark.parametrize("note", [b"", b"x" * 10_000, b"a/b/c/1", b"\xff\n", b"plant.example/sola/e1/01\n", b"\n"])
def test_nonsense_claims_nothing(note: bytes) -> None:
    with pytest.raises(CheckpointInvalid):
        claimed(note)
    assert issubclass(CheckpointInvalid, DataProblem)
