"""The tree agrees with pymerkle (an independent implementation, used here only) at every small size and some larger."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from hakari.log.tree import (
    consistency_proof,
    extend,
    frontier_of,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

SMALL = 33
LARGE = [63, 64, 65, 127, 255, 256, 257, 1000, 1023, 1024, 1025]
BODIES = [b"" if k == 0 else f"body {k} ".encode() * (k % 5 + 1) for k in range(max(LARGE))]
HASHES = [leaf_hash(body) for body in BODIES]


@pytest.fixture(scope="module")
def oracle() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")  # type: ignore[no-untyped-call]
    for body in BODIES:
        tree.append_entry(body)
    return tree


def test_roots_agree_at_every_size(oracle: InmemoryTree) -> None:
    frontier: tuple[bytes, ...] = ()
    for size, leaf in enumerate(HASHES):
        assert root_of(frontier) == oracle.get_root(size)
        frontier = extend(frontier, size, leaf)
        assert frontier == frontier_of(HASHES[: size + 1]) or size % 97
    assert root_of(frontier) == oracle.get_root(len(HASHES))


def check_inclusion(oracle: InmemoryTree, i: int, size: int) -> None:
    ours = inclusion_proof(HASHES[:size], i)
    # pymerkle counts leaves from 1 and puts the leaf's own hash into the path, which it orders in its own way.
    theirs = oracle.prove_inclusion(i + 1, size)
    assert sorted([HASHES[i], *ours]) == sorted(theirs.path)
    assert verify_inclusion(HASHES[i], i, size, ours, oracle.get_root(size))
    theirs.verify(HASHES[i], root_of(frontier_of(HASHES[:size])))


def subproof(old: int, leaves: list[bytes], *, known: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b) of RFC 6962 section 2.1.2, word for word."""
    if old == len(leaves):
        return [] if known else [root_of(frontier_of(leaves))]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if old <= k:
        return [*subproof(old, leaves[:k], known=known), root_of(frontier_of(leaves[k:]))]
    return [*subproof(old - k, leaves[k:], known=False), root_of(frontier_of(leaves[:k]))]


def check_consistency(oracle: InmemoryTree, old: int, size: int) -> None:
    ours = consistency_proof(HASHES[:size], old)
    theirs = oracle.prove_consistency(old, size)
    # pymerkle's proof names every subtree of the old tree, so that only the two statements can be compared; the form
    # is compared with the definition.
    assert ours == subproof(old, HASHES[:size], known=True)
    assert verify_consistency(old, size, oracle.get_root(old), oracle.get_root(size), ours)
    theirs.verify(root_of(frontier_of(HASHES[:old])), root_of(frontier_of(HASHES[:size])))


def test_proofs_agree_at_every_small_size(oracle: InmemoryTree) -> None:
    for size in range(1, SMALL):
        for k in range(size):
            check_inclusion(oracle, k, size)
            check_consistency(oracle, k + 1, size)


@pytest.mark.parametrize("size", LARGE)
def test_proofs_agree_at_large_sizes(oracle: InmemoryTree, size: int) -> None:
    chosen = random.Random(size)
    for k in {0, size - 1, *(chosen.randrange(size) for _ in range(6))}:
        check_inclusion(oracle, k, size)
        check_consistency(oracle, k + 1, size)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 70), data=st.data())
def test_only_the_true_statement_verifies(size: int, data: st.DataObject) -> None:
    """Any other leaf, index, size or tree makes an inclusion or a consistency proof fail."""
    i = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda k: k != i) if size > 1 else st.just(size))
    root = root_of(frontier_of(HASHES[:size]))
    proof = inclusion_proof(HASHES[:size], i)
    assert verify_inclusion(HASHES[i], i, size, proof, root)
    assert not verify_inclusion(HASHES[i], other, size, proof, root)
    assert not verify_inclusion(HASHES[other], i, size, proof, root)
    forged = [*HASHES[:i], leaf_hash(b"forged"), *HASHES[i + 1 : size]]
    new_root = root_of(frontier_of([*forged, *HASHES[size : size + 3]]))
    for old in (size, size + 1):
        growth = consistency_proof([*forged, *HASHES[size : size + 3]], old)
        old_root = root_of(frontier_of(HASHES[:old]))
        assert not verify_consistency(old, size + 3, old_root, new_root, growth)


@settings(max_examples=200, deadline=None)
@given(
    i=st.integers(-2, 2**60),
    size=st.integers(-2, 2**60),
    proof=st.lists(st.binary(min_size=31, max_size=32), max_size=70),
)
def test_noise_is_refused_and_ends(i: int, size: int, proof: list[bytes]) -> None:
    assert not verify_inclusion(HASHES[0], i, size, proof, HASHES[1])
    assert not verify_consistency(i, size, HASHES[0], HASHES[1], proof)
