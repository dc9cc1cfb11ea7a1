"""RFC 6962 vectors of certificate-transparency's reference implementation, and the known bugs of proof checkers.

Leaves, roots and proofs: google/certificate-transparency, merkle_tree_test.cc and merkle_verifier_test.cc, the same
as testonly/constants.go of transparency-dev/merkle.
"""

from __future__ import annotations

import hashlib

import pytest

from hakari.log.tree import (
    EMPTY_ROOT,
    MAX_SIZE,
    TreeInvalid,
    consistency_proof,
    extend,
    frontier_of,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
HASHES = [leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = [(0, 1, []), (0, 8, [A, B, C]), (5, 8, [D, E, ROOTS[4]]), (2, 3, [ROOTS[2]]), (1, 5, [ROOTS[1], B, D])]
CONSISTENCY = [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, ROOTS[4]]), (2, 5, [B, D])]


def raw(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def root(size: int) -> bytes:
    return bytes.fromhex(ROOTS[size])


@pytest.mark.parametrize("size", range(9))
def test_roots(size: int) -> None:
    assert root_of(frontier_of(HASHES[:size])) == root(size)


def test_empty_root() -> None:
    assert hashlib.sha256().digest() == EMPTY_ROOT == root_of(())


@pytest.mark.parametrize(("i", "size", "proof"), INCLUSION)
def test_inclusion_vectors(i: int, size: int, proof: list[str]) -> None:
    assert inclusion_proof(HASHES[:size], i) == raw(proof)
    assert verify_inclusion(HASHES[i], i, size, raw(proof), root(size))


@pytest.mark.parametrize(("old", "size", "proof"), CONSISTENCY)
def test_consistency_vectors(old: int, size: int, proof: list[str]) -> None:
    assert consistency_proof(HASHES[:size], old) == raw(proof)
    assert verify_consistency(old, size, root(old), root(size), raw(proof))


def test_leaf_and_node_cannot_be_exchanged() -> None:
    node_as_leaf = leaf_hash(HASHES[0] + HASHES[1])
    assert node_as_leaf != root_of(frontier_of(HASHES[:2]))


def test_proof_binds_the_index() -> None:
    """MystenLabs/walrus#349: a proof that was accepted for another index."""
    for size in range(1, 9):
        for i in range(size):
            proof = inclusion_proof(HASHES[:size], i)
            accepted = [j for j in range(-1, size + 9) if verify_inclusion(HASHES[i], j, size, proof, root(size))]
            assert accepted == [i]


def test_proof_binds_the_size() -> None:
    """A size of another shape is refused; the walk of RFC 9162 depends on a size by its shape only."""
    proof = inclusion_proof(HASHES[:8], 5)
    accepted = [n for n in range(40) if verify_inclusion(HASHES[5], 5, n, proof, root(8))]
    assert 8 in accepted
    assert all(5 < n <= 8 for n in accepted)


def test_empty_proof_is_refused_for_a_larger_tree() -> None:
    """wolverine-db#56: an empty proof that was accepted."""
    assert not verify_inclusion(root(8), 0, 8, [], root(8))
    assert not verify_consistency(4, 8, root(4), root(8), [])
    assert not verify_consistency(4, 8, root(8), root(8), [])
    assert not verify_consistency(6, 8, root(6), root(6), [])
    assert verify_inclusion(HASHES[0], 0, 1, [], root(1))


def test_proof_of_a_later_tree_is_refused() -> None:
    """zerkerlabs/treeship#191: a proof made from a later tree."""
    assert not verify_inclusion(HASHES[2], 2, 5, inclusion_proof(HASHES, 2), root(5))
    assert not verify_consistency(3, 6, root(3), root(6), consistency_proof(HASHES, 3))


def test_the_same_leaf_twice_has_two_proofs() -> None:
    """antouhou/rs-merkle#52: doubled leaves."""
    doubled = [HASHES[1]] * 2 + [HASHES[2]]
    top = root_of(frontier_of(doubled))
    proofs = [inclusion_proof(doubled, i) for i in range(2)]
    assert all(verify_inclusion(HASHES[1], i, 3, proofs[i], top) for i in range(2))
    assert not verify_inclusion(HASHES[1], 2, 3, proofs[0], top)
    assert root_of(frontier_of(HASHES[:3])) != root_of(frontier_of([*HASHES[:3], HASHES[2]]))


def test_empty_old_tree() -> None:
    assert verify_consistency(0, 5, EMPTY_ROOT, root(5), [])
    assert verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    assert not verify_consistency(0, 5, root(1), root(5), [])
    assert not verify_consistency(0, 5, EMPTY_ROOT, root(5), [root(1)])
    assert not verify_consistency(0, 0, EMPTY_ROOT, root(1), [])
    assert consistency_proof(HASHES, 0) == consistency_proof(HASHES, 8) == []


def test_same_size_needs_the_same_root_and_no_proof() -> None:
    assert verify_consistency(6, 6, root(6), root(6), [])
    assert not verify_consistency(6, 6, root(6), root(6), [root(1)])
    assert not verify_consistency(6, 6, root(6), root(5), [])


def test_every_change_of_a_proof_is_refused() -> None:
    inclusion, growth = inclusion_proof(HASHES[:7], 3), consistency_proof(HASHES[:7], 3)
    for proof in (inclusion, growth):
        variants = [proof[1:], proof[:-1], [*proof, proof[-1]], [proof[0], *proof], proof[::-1], [b"", *proof]]
        variants += [
            [*proof[:k], flip(proof[k], bit), *proof[k + 1 :]] for k in range(len(proof)) for bit in range(256)
        ]
        for changed in variants:
            if proof is inclusion:
                assert not verify_inclusion(HASHES[3], 3, 7, changed, root(7))
            else:
                assert not verify_consistency(3, 7, root(3), root(7), changed)


def flip(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_sizes_outside_are_refused_and_end() -> None:
    proof = inclusion_proof(HASHES, 5)
    for i, size in [(-1, 8), (8, 8), (0, 0), (5, -8), (5, MAX_SIZE + 1), (2**70, 2**71)]:
        assert not verify_inclusion(HASHES[5], i, size, proof, root(8))
        assert not verify_consistency(i, size, root(6), root(8), proof)
    assert not verify_consistency(8, 6, root(8), root(6), consistency_proof(HASHES, 6))
    assert not verify_inclusion(HASHES[5][:31], 5, 8, proof, root(8))


@pytest.mark.parametrize(("frontier", "size", "leaf"), [((), 1, HASHES[0]), ((HASHES[0],), 3, HASHES[0]),
                                                        ((HASHES[0],), 0, HASHES[0]), ((), -1, HASHES[0]),
                                                        ((), 0, b"short")])  # fmt: skip
def test_damaged_frontier_is_refused(frontier: tuple[bytes, ...], size: int, leaf: bytes) -> None:
    with pytest.raises(TreeInvalid, match="frontier of"):
        extend(frontier, size, leaf)


def test_proofs_outside_the_tree_are_refused() -> None:
    for i in (-1, 8):
        with pytest.raises(TreeInvalid, match="leaf"):
            inclusion_proof(HASHES, i)
    for old in (-1, 9):
        with pytest.raises(TreeInvalid, match="old size"):
            consistency_proof(HASHES, old)


def test_frontier_stays_logarithmic() -> None:
    assert len(frontier_of([HASHES[0]] * 1023)) == 10
    assert len(frontier_of([HASHES[0]] * 1024)) == 1
