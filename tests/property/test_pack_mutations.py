"""Seeded mutations of a pack, from one flipped bit to a forger who holds the statement key: every one is found."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calc import run
from calc.compute import compute
from calc.cuts import cut_of
from calc.evidence import evidence_of
from calc.leaves import EdgeEvidence
from calc.methodologies.registry import find
from calc.project import read_project
from calc.statement import open_statement, sign_statement, state_of
from calc.verify import verify_pack
from hakari.errors import DataProblem
from hakari.ledger.result import encode
from hakari.log.note import SigningKey, VerifierKey, sign
from hakari.log.tree import frontier_of, leaf_hash, root_of
from hakari.names import Origin
from hakari.pack.layout import names_of, record, records
from hakari.pack.reader import load, read
from hakari.pack.writer import write_into
from hakari.period import Period
from hakari.wire.envelope import deflate, inflate
from tests.unit import calc_world as w

MUTATIONS = 2_000
PROVED = 100_000
CHUNKS = 4

Contents = dict[str, bytes]


class Packed(NamedTuple):
    """A good pack, a second one of the same project to borrow from, and the keys that a test may use."""

    data: bytes
    contents: Contents
    other: Contents
    owner: VerifierKey
    statement: SigningKey
    edge: w.World


def _contents(path: Path) -> Contents:
    found = {name: bytes(content) for name, content in read(load(path)).contents.items()}
    del found["manifest.json"]
    return found


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packed]:
    folder = tmp_path_factory.mktemp("pack")
    world = w.World(folder)
    readings = w.month()[:: len(w.month()) // 60] + w.month()[-3:]
    world.record(readings[:40], world.configure(1), epoch=1, batch=4)
    world.record(readings[40:], world.configure(2), epoch=2, batch=4)
    config = world.write_settings((1, 2))
    (folder / "project.toml").write_text(w.project_text())
    with w.fixture_methodology():
        run.add_project(config, folder / "project.toml")
        run.compute_once(config)
        path = run.write_pack_of(config, "plant-2016-07", folder / "a.hakari")[0]
        other = run.write_pack_of(config, "plant-2016", folder / "b.hakari")[0]
        yield Packed(
            load(path), _contents(path), _contents(other), world.owner.verifier, world.statement, world
        )  # fmt: skip


def _built(contents: Contents) -> bytes:
    file = io.BytesIO()
    write_into(file, {name: [content] for name, content in contents.items()})
    return file.getvalue()


def _flip(data: bytes, rnd: random.Random) -> bytes:
    changed = bytearray(data)
    changed[rnd.randrange(len(data))] ^= 1 << rnd.randrange(8)
    return bytes(changed)


def _leaves(contents: Contents, rnd: random.Random) -> tuple[str, list[bytes]]:
    name = rnd.choice(sorted(name for name in contents if name.startswith("leaves/")))
    return name, _bodies(contents, name)


def _bodies(contents: Contents, name: str) -> list[bytes]:
    """The deflated bodies in an entry, of which none is a hash alone."""
    return [one for one in records(name, memoryview(contents[name])) if isinstance(one, bytes)]


def _with_leaves(contents: Contents, name: str, leaves: list[bytes]) -> Contents:
    return {**contents, name: b"".join(record(leaf) for leaf in leaves)}


def bit_of_the_file(packed: Packed, rnd: random.Random) -> bytes:
    return _flip(packed.data, rnd)


def cut_or_longer_file(packed: Packed, rnd: random.Random) -> bytes:
    at = rnd.randrange(len(packed.data))
    return rnd.choice(
        [packed.data[:at], packed.data + packed.data[:at] + b"\0", packed.data[:at] + packed.data[at + 1 :]]
    )


def bit_of_an_entry(packed: Packed, rnd: random.Random) -> bytes:
    name = rnd.choice(sorted(packed.contents))
    return _built({**packed.contents, name: _flip(packed.contents[name], rnd)})


def missing_entry(packed: Packed, rnd: random.Random) -> bytes:
    name = rnd.choice(sorted(packed.contents))
    return _built({key: content for key, content in packed.contents.items() if key != name})


def log_left_out(packed: Packed, rnd: random.Random) -> bytes:
    names = names_of(w.EDGE, rnd.choice([1, 2]))
    return _built({key: content for key, content in packed.contents.items() if key not in names})


def borrowed_entry(packed: Packed, rnd: random.Random) -> bytes:
    different = sorted(name for name in packed.contents if packed.other[name] != packed.contents[name])
    name = rnd.choice([name for name in different if not name.endswith(".mark")])
    return _built({**packed.contents, name: packed.other[name]})


def exchanged_epochs(packed: Packed, rnd: random.Random) -> bytes:
    one, two = names_of(w.EDGE, 1), names_of(w.EDGE, 2)
    k = rnd.randrange(3)
    contents = {**packed.contents, one[k]: packed.contents[two[k]], two[k]: packed.contents[one[k]]}
    return _built(contents)


def _reordered(leaves: list[bytes], rnd: random.Random) -> list[bytes]:
    """Drops, swaps, doubles or moves one leaf."""
    changed, at = list(leaves), rnd.randrange(len(leaves))
    kind = rnd.randrange(4)
    if kind == 0:
        del changed[at]
    elif kind == 1:
        other = rnd.choice([k for k in range(len(leaves)) if k != at])
        changed[at], changed[other] = changed[other], changed[at]
    elif kind == 2:
        changed.insert(rnd.randrange(len(leaves) + 1), changed[at])
    else:
        changed = changed[: max(1, at)] if at < len(leaves) - 1 else changed[1:]
    return changed


def leaves_reordered(packed: Packed, rnd: random.Random) -> bytes:
    name, leaves = _leaves(packed.contents, rnd)
    return _built(_with_leaves(packed.contents, name, _reordered(leaves, rnd)))


def _altered_body(leaves: list[bytes], rnd: random.Random) -> list[bytes]:
    """One digit of a register's answer, or one byte of the body, in a leaf that is deflated anew."""
    changed, at = list(leaves), rnd.randrange(len(leaves))
    body = inflate(leaves[at])
    answers = [k + 14 for k in range(len(body)) if body.startswith(b'"answer":"', k)]
    if answers and rnd.random() < 0.7:
        k = rnd.choice(answers) + rnd.randrange(8)
        digit = rnd.choice([d for d in b"0123456789abcdef" if d != body[k]])
        body = body[:k] + bytes([digit]) + body[k + 1 :]
    else:
        body = _flip(body, rnd)
    changed[at] = deflate(body)
    return changed


def body_altered(packed: Packed, rnd: random.Random) -> bytes:
    name, leaves = _leaves(packed.contents, rnd)
    return _built(_with_leaves(packed.contents, name, _altered_body(leaves, rnd)))


def bit_of_a_deflated_leaf(packed: Packed, rnd: random.Random) -> bytes:
    name, leaves = _leaves(packed.contents, rnd)
    at = rnd.randrange(len(leaves))
    return _built(_with_leaves(packed.contents, name, [*leaves[:at], _flip(leaves[at], rnd), *leaves[at + 1 :]]))


def by_a_forger_with_the_statement_key(packed: Packed, rnd: random.Random) -> bytes:
    """Leaves are altered, result and statement are made to fit: only the edge's signature is left to find it."""
    name, leaves = _leaves(packed.contents, rnd)
    change = rnd.choice([_reordered, _altered_body])
    contents, cosigner = _with_leaves(packed.contents, name, change(leaves, rnd)), "ingest"
    if rnd.random() < 0.7:
        contents, cosigner = {key: contents[key] for key in contents if not key.endswith(".mark")}, ""
    return _built(_restated(packed, contents, cosigner))


def _restated(packed: Packed, contents: Contents, cosigner: str) -> Contents:
    statement = open_statement(contents["statement.note"], [packed.statement.verifier])
    project = read_project(contents["project.toml"], "project.toml")
    edge = EdgeEvidence(w.EDGE, [w.EXPORT, w.IMPORT])
    sizes, cuts, hashes = {}, [], {}
    for epoch in (1, 2):
        name, origin = names_of(w.EDGE, epoch).leaves, Origin(w.NAMESPACE, w.EDGE, epoch)
        bodies = [_inflated(leaf) for leaf in _bodies(contents, name)]
        for body in bodies:
            edge.add(epoch, body)
        sizes[epoch] = len(bodies)
        cuts.append(cut_of(origin, len(bodies), root_of(frontier_of([leaf_hash(body) for body in bodies]))))
        hashes[str(origin)] = _sha256(contents[name])
    evidence = evidence_of([edge], {w.EDGE: sizes}, cuts)
    period = Period(statement.start_ms, statement.end_ms)
    result = compute(project, find("FIXTURE_PUBLISHED", "1.0"), evidence, statement.label, period)
    stated = state_of(result, hashes, dict.fromkeys(hashes, cosigner), statement.roster_serial)
    note = sign_statement(stated, packed.statement)
    return {**contents, "result.json": encode(result).encode(), "statement.note": note}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _inflated(leaf: bytes) -> bytes:
    try:
        return inflate(leaf)
    except DataProblem:
        return b""


def figure_altered(packed: Packed, rnd: random.Random) -> bytes:
    """A digit of the result, with a statement signed to fit it: the leaves tell."""
    statement = open_statement(packed.contents["statement.note"], [packed.statement.verifier])
    text = packed.contents["result.json"].decode()
    digits = [k for k, char in enumerate(text) if char.isdigit()]
    at = rnd.choice(digits)
    text = text[:at] + rnd.choice([d for d in "0123456789" if d != text[at]]) + text[at + 1 :]
    stated = msgspec.structs.replace(statement, result_sha256=_sha256(text.encode()))
    note = sign_statement(stated, packed.statement)
    return _built({**packed.contents, "result.json": text.encode(), "statement.note": note})


def signature_of_another(packed: Packed, rnd: random.Random) -> bytes:
    """The statement or a checkpoint signed anew by a key that the roster does not know."""
    stranger = Ed25519PrivateKey.from_private_bytes(rnd.randbytes(32))
    names = ["statement.note", names_of(w.EDGE, 1).checkpoint, names_of(w.EDGE, 2).checkpoint, "roster.note"]
    name = rnd.choice(names)
    note = packed.contents[name]
    text, _, line = note.decode().rpartition("\n\n")
    signer = line.split(" ")[1]
    return _built({**packed.contents, name: sign(text + "\n", SigningKey(signer, stranger))})


def base64_in_another_form(packed: Packed, rnd: random.Random) -> bytes:
    """A signature line with other padding bits: the same bytes decoded, another text."""
    name = rnd.choice(sorted(name for name in packed.contents if name.endswith((".note", ".mark"))))
    note = packed.contents[name].decode().rstrip("\n")
    padded = note.rstrip("=")
    if padded == note:
        return _built({**packed.contents, name: f"{note}=\n".encode()})
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(padded[-1]) ^ 1]
    tail = "=" * (len(note) - len(padded))
    same = base64.b64decode(f"{padded[:-1]}{last}{tail}"[-4:]) == base64.b64decode(note[-4:])
    assert same
    return _built({**packed.contents, name: f"{padded[:-1]}{last}{tail}\n".encode()})


Mutation = Callable[[Packed, random.Random], bytes]
KINDS: list[Mutation] = [
    bit_of_the_file, cut_or_longer_file, bit_of_an_entry, missing_entry, log_left_out, borrowed_entry,
    exchanged_epochs, leaves_reordered, body_altered, bit_of_a_deflated_leaf, by_a_forger_with_the_statement_key,
    figure_altered, signature_of_another, base64_in_another_form,
]  # fmt: skip


def _missed(packed: Packed, seeds: range) -> list[str]:
    missed = []
    for seed in seeds:
        rnd = random.Random(seed)
        kind = KINDS[seed % len(KINDS)]
        mutated = kind(packed, rnd)
        if mutated == packed.data:
            raise AssertionError(f"{kind.__name__} {seed} changed nothing")
        if verify_pack(mutated, packed.owner).ok:
            missed.append(f"{kind.__name__} {seed}")
    return missed


def test_the_pack_itself_is_good_and_rebuilding_it_gives_its_bytes(packed: Packed) -> None:
    verdict = verify_pack(packed.data, packed.owner)
    assert (verdict.problems, verdict.ok) == ([], True)
    assert _built(packed.contents) == packed.data
    assert _built(_restated(packed, packed.contents, "ingest")) == packed.data


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_mutation_is_found(packed: Packed, chunk: int) -> None:
    count = (PROVED if os.environ.get("HAKARI_PROVE") == "1" else MUTATIONS) // CHUNKS
    assert _missed(packed, range(chunk * count, (chunk + 1) * count)) == []


@pytest.mark.prove
@pytest.mark.timeout(0)
def test_every_mutation_is_found_at_length(packed: Packed) -> None:
    assert _missed(packed, range(MUTATIONS, PROVED)) == []


def test_everything_that_is_wrong_is_listed_not_only_the_first(packed: Packed) -> None:
    rnd = random.Random(1)
    contents = packed.contents
    for epoch in (1, 2):
        name = names_of(w.EDGE, epoch).leaves
        contents = _with_leaves(contents, name, _altered_body(_bodies(contents, name), rnd))
    contents = {**contents, "README.txt": b"Trust me.\n", "roster.note": contents["roster.note"]}
    entries = {problem.entry for problem in verify_pack(_built(contents), packed.owner).problems}
    assert {names_of(w.EDGE, 1).leaves, names_of(w.EDGE, 2).leaves, "README.txt", "statement.note"} <= entries
