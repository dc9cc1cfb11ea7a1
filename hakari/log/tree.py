"""RFC 6962 Merkle tree over leaf hashes: frontier, root, inclusion and consistency proofs.

Guaranteed: a proof verifies only for the index, the sizes and the roots that it was made for; every hash
has exactly 32 bytes. Source: RFC 6962 section 2.1; the checks follow RFC 9162 sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from hakari.errors import DataProblem

HASH_BYTES = 32
MAX_SIZE = 2**53
EMPTY_ROOT: bytes = hashlib.sha256(b"").digest()

_LEAF = b"\x00"
_NODE = b"\x01"


class TreeInvalid(DataProblem):
    """A frontier, an index or a size cannot belong to the tree that it is used with."""


def leaf_hash(body: bytes) -> bytes:
    """SHA-256(0x00 || body)."""
    return hashlib.sha256(_LEAF + body).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def extend(frontier: tuple[bytes, ...], size: int, leaf_hash: bytes) -> tuple[bytes, ...]:
    """The frontier of `size` + 1 leaves from that of `size`: roots of its perfect subtrees, largest first."""
    if size < 0 or len(frontier) != size.bit_count() or len(leaf_hash) != HASH_BYTES:
        raise TreeInvalid(
            f"frontier of {size} leaves has {len(frontier)} hashes and gets a leaf hash of {len(leaf_hash)} bytes;"
            f" one hash a set bit of the size and {HASH_BYTES} bytes are needed, so the stored state is damaged"
        )
    kept = len(frontier)
    node = leaf_hash
    while size & 1:
        kept -= 1
        node = _node(frontier[kept], node)
        size >>= 1
    return (*frontier[:kept], node)


def root_of(frontier: tuple[bytes, ...]) -> bytes:
    """The root of the tree with this frontier; the empty tree's root when there is none."""
    if not frontier:
        return EMPTY_ROOT
    node = frontier[-1]
    for k in range(len(frontier) - 2, -1, -1):
        node = _node(frontier[k], node)
    return node


def frontier_of(leaf_hashes: Sequence[bytes]) -> tuple[bytes, ...]:
    """The frontier of all of `leaf_hashes`."""
    frontier: tuple[bytes, ...] = ()
    for size, leaf in enumerate(leaf_hashes):
        frontier = extend(frontier, size, leaf)
    return frontier


def inclusion_proof(leaf_hashes: Sequence[bytes], i: int) -> list[bytes]:
    """The audit path of leaf `i` in the tree of exactly these leaves, lowest sibling first."""
    if not 0 <= i < len(leaf_hashes):
        raise TreeInvalid(f"leaf {i} is not in a tree of {len(leaf_hashes)} leaves; give 0 to size - 1")
    proof = []
    level = list(leaf_hashes)
    while len(level) > 1:
        if i ^ 1 < len(level):
            proof.append(level[i ^ 1])
        pairs = [_node(level[k], level[k + 1]) for k in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
        i >>= 1
    return proof


def verify_inclusion(leaf_hash: bytes, i: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that leaf `i` of the tree of `size` leaves with `root` has this hash."""
    if not 0 <= i < size <= MAX_SIZE or not _are_hashes([leaf_hash, root, *proof]):
        return False
    node, first, last = leaf_hash, i, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if first & 1 or first == last:
            node = _node(sibling, node)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            node = _node(node, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and node == root


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """The proof that the tree of these leaves begins with the tree of the first `old_size` of them.

    It is empty for the empty old tree and for the same size.
    """
    if not 0 <= old_size <= len(leaf_hashes):
        raise TreeInvalid(f"old size {old_size} is not within a tree of {len(leaf_hashes)} leaves")
    if old_size in (0, len(leaf_hashes)):
        return []
    proof: list[bytes] = []
    start, end, known = 0, len(leaf_hashes), True
    while old_size != end:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if old_size <= middle:
            proof.append(root_of(frontier_of(leaf_hashes[middle:end])))
            end = middle
        else:
            proof.append(root_of(frontier_of(leaf_hashes[start:middle])))
            start, known = middle, False
    if not known:
        proof.append(root_of(frontier_of(leaf_hashes[start:end])))
    return proof[::-1]


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of `new_size` leaves begins with the tree of `old_size` leaves.

    The empty old tree needs its root and an empty proof; the same size needs the same root and an empty proof.
    """
    if not 0 <= old_size <= new_size <= MAX_SIZE or not _are_hashes([old_root, new_root, *proof]):
        return False
    if (old_size == 0 and old_root != EMPTY_ROOT) or (new_size == 0 and new_root != EMPTY_ROOT):
        return False
    if old_size == 0:
        return not proof
    if old_size == new_size:
        return not proof and old_root == new_root
    return _verify_growth(old_size, new_size, old_root, new_root, proof)


def _verify_growth(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162 section 2.1.4.2 for 0 < `old_size` < `new_size`."""
    path = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not proof:
        return False
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old_node = new_node = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            old_node, new_node = _node(sibling, old_node), _node(sibling, new_node)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            new_node = _node(new_node, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and old_node == old_root and new_node == new_root


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
