"""An edge's signed word that it no longer has the body of a leaf (I11).

Without it whoever stands between edge and ingest, or holds what ingest has stored, could take bodies off leaves and
say that they were forgone. It is therefore kept beside the hash, and asked for again by whoever checks a log or a pack.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.log.note import SIGNATURE_BYTES, verifies
from hakari.log.roster import Roster
from hakari.names import Origin

HEADER = "hakari body gone v1"
STOP_BYTES = 8
WORD_BYTES = STOP_BYTES + SIGNATURE_BYTES


def _message(origin: Origin, i: int, leaf_hash: bytes, stop: int) -> bytes:
    return f"{HEADER}\n{origin}\n{i}\n{leaf_hash.hex()}\n{stop}\n".encode()


def sign_gone(origin: Origin, i: int, leaf_hash: bytes, stop: int, private: Ed25519PrivateKey) -> bytes:
    """That the body of leaf `i` is gone, and that from leaf `stop` on none is known to be."""
    return private.sign(_message(origin, i, leaf_hash, stop))


def is_gone(origin: Origin, i: int, leaf_hash: bytes, stop: int, signature: bytes, public: bytes) -> bool:
    """Whether the key `public` has signed just that."""
    return verifies(public, signature, _message(origin, i, leaf_hash, stop))


def word_of(stop: int, signature: bytes) -> bytes:
    """The edge's word as it is kept: `stop` in 8 bytes, big endian, then the signature."""
    return stop.to_bytes(STOP_BYTES, "big") + signature


def is_word(roster: Roster, origin: Origin, i: int, leaf_hash: bytes, word: bytes) -> bool:
    """Whether `word` is that of the leaf's edge, by a key that the roster has for the leaf's place or a later one.

    An edge says so when it is asked, maybe years later. A key that ended before the leaf says nothing about it. A
    source never says so: its log is ingest's own, and whoever holds ingest could say it of any leaf.
    """
    if len(word) != WORD_BYTES or origin.edge_id in roster.sources:
        return False
    stop, signature = int.from_bytes(word[:STOP_BYTES], "big"), word[STOP_BYTES:]
    keys = roster.keys_from(origin.edge_id, origin.epoch, i + 1)
    return any(is_gone(origin, i, leaf_hash, stop, signature, public) for public in keys)
