"""Logged configurations: joined from parts within limits, and found again in the leaves that hold them."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

import msgspec
import pytest

from hakari.registers.profile import Point, Profile
from hakari.wire import configuration as wire
from hakari.wire.configuration import Assembler, ConfigurationMalformed, Meter, MeteringConfiguration, parts_of
from hakari.wire.envelope import deflate
from hakari.wire.leaf import MAX_PARTS, Carried, ConfigurationPart, Leaf, LeafMalformed, Sync, decode, encode
from hakari.wire.logged import Logged

EDGE = "sola-e1"


def text(notes: str = "", edge: str = EDGE) -> str:
    point = Point(name="energy", address=0, type="u32", kind="counter", unit="Wh")
    profile = Profile(id="m", maker="m", model="m", source="s", standing="excerpt", points=[point], notes=notes)
    return wire.text_of(MeteringConfiguration(1, edge, 1000, 500, [Meter("main", "bus", 1, "", profile)]))


LONG = text("x" * 20_000)
PARTS = parts_of(LONG)
SHA256 = wire.sha256_of(LONG)


def changed(one: ConfigurationPart, /, **changes: object) -> ConfigurationPart:
    return msgspec.structs.replace(one, **changes)


def test_parts_come_in_any_order_and_repeated() -> None:
    for seed in range(10):
        order = [*PARTS, *PARTS[:2]]
        random.Random(seed).shuffle(order)
        assembler = Assembler()
        found = [assembler.add(part) for part in order]
        assert next(one for one in found if one is not None) == wire.parse(LONG)
        assert list(assembler.complete) == [SHA256]


@pytest.mark.parametrize(
    "wrong", [changed(PARTS[1], part=3), changed(PARTS[1], part=999), changed(PARTS[1], of=2), changed(PARTS[1], of=4)]
)
def test_a_part_that_does_not_go_with_the_others_is_refused(wrong: ConfigurationPart) -> None:
    assembler = Assembler()
    assembler.add(PARTS[0])
    with pytest.raises(ConfigurationMalformed, match=r"does not go with the 3 parts of"):
        assembler.add(wrong)
    # What was open under the hash is forgotten, so that the edge can log it again from its start.
    assert [assembler.add(part) is None for part in PARTS] == [True, True, False]


def test_parts_of_another_text_are_refused_and_do_not_stay() -> None:
    assembler = Assembler()
    assembler.add(PARTS[0])
    assembler.add(changed(PARTS[1], text="y"))
    with pytest.raises(ConfigurationMalformed, match="do not give their hash"):
        assembler.add(PARTS[2])
    assert [assembler.add(part) is None for part in PARTS] == [True, True, False]


def test_what_is_open_is_bounded() -> None:
    assembler = Assembler()
    for k in range(1000):
        assembler.add(ConfigurationPart(f"{k:064x}", 0, 2, "x"))
    assert len(assembler._open) == wire.MAX_OPEN
    for part in PARTS[:2]:
        assembler.add(part)
    for k in range(wire.MAX_OPEN - 1):
        assembler.add(ConfigurationPart(f"{k:064x}", 0, 2, "x"))
    assert assembler.add(PARTS[2]) is not None


def test_a_text_is_bounded() -> None:
    assembler = Assembler()
    piece = "x" * (wire.MAX_TEXT_CHARS // 3)
    for k in range(3):
        assembler.add(ConfigurationPart("a" * 64, k, 9, piece))
    with pytest.raises(ConfigurationMalformed, match="has more than 7000000 characters"):
        assembler.add(ConfigurationPart("a" * 64, 3, 9, piece))
    with pytest.raises(ConfigurationMalformed, match="limit 7000000"):
        parts_of("x" * (wire.MAX_TEXT_CHARS + 1))
    assert len(parts_of("x" * wire.MAX_TEXT_CHARS)) == MAX_PARTS


@pytest.mark.parametrize(("part", "of"), [(MAX_PARTS, MAX_PARTS), (0, MAX_PARTS + 1), (0, 0)])
def test_a_leaf_holds_no_part_outside_the_limit(part: int, of: int) -> None:
    body = encode(leaf(1700, 0, configuration=PARTS[0]))
    wrong = body.replace(b'"part":0,"of":3', f'"part":{part},"of":{of}'.encode())
    assert wrong != body
    with pytest.raises(LeafMalformed):
        decode(wrong)


def leaf(epoch: int, i: int, **parts: object) -> Leaf:
    salt = base64.b64encode(bytes(16)).decode()
    made = Leaf(1, EDGE, epoch, i, salt, "0123456789abcdef", 1, 1, Sync("lockstep"), "", "hakari")
    return msgspec.structs.replace(made, **parts)


class Kept:
    """An edge's leaves by epoch, and which of them were read."""

    def __init__(self) -> None:
        self.epochs: dict[int, list[Leaf]] = {}
        self.read: list[tuple[int, int]] = []

    def add(self, epoch: int, **parts: object) -> None:
        kept = self.epochs.setdefault(epoch, [])
        kept.append(leaf(epoch, len(kept), **parts))

    def leaves(self, epoch: int, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        for i, one in enumerate(self.epochs[epoch][start:stop], start):
            self.read.append((epoch, i))
            yield i, deflate(encode(one))


def test_it_is_found_where_it_was_logged_and_no_leaf_is_read_twice() -> None:
    kept = Kept()
    for part in PARTS:
        kept.add(1700, configuration=part)
    for _ in range(5):
        kept.add(1700)
    logged = Logged(EDGE, kept.leaves)
    assert logged.find(SHA256, [(1700, 8)]) == wire.parse(LONG)
    assert kept.read == [(1700, 0), (1700, 1), (1700, 2)]
    assert logged.find("b" * 64, [(1700, 8)]) is None
    assert logged.find("c" * 64, [(1700, 8)]) is None
    assert kept.read == [(1700, i) for i in range(8)]


def test_what_was_not_there_yet_is_found_later() -> None:
    kept = Kept()
    kept.add(1700)
    logged = Logged(EDGE, kept.leaves)
    assert logged.find(SHA256, [(1700, 1)]) is None
    for part in PARTS:
        kept.add(1700, configuration=part)
    assert logged.find(SHA256, [(1700, 4)]) is not None


def test_it_is_found_in_an_earlier_epoch_and_in_a_carried_leaf() -> None:
    kept = Kept()
    for part in PARTS:
        kept.add(1700, configuration=part)
    other = text("other")
    (single,) = parts_of(other)
    kept.add(1800)
    kept.add(1800, carried=Carried.of(1700, 7, encode(leaf(1700, 7, configuration=single))))
    logged = Logged(EDGE, kept.leaves)
    assert logged.find(SHA256, [(1800, 2), (1700, 3)]) is not None
    assert logged.known[wire.sha256_of(other)] == wire.parse(other)


def test_what_another_edge_says_or_nobody_can_read_teaches_nothing() -> None:
    kept = Kept()
    (single,) = parts_of(text())
    kept.add(1700, edge="sola-e2", configuration=single)
    kept.add(1700, carried=Carried(1600, 0, "////"))
    logged = Logged(EDGE, kept.leaves)
    assert logged.find(single.sha256, [(1700, 2)]) is None
    assert logged.learn(leaf(1700, 2, configuration=changed(single, text="{}"))) == [
        f"configuration parts do not give their hash {single.sha256}"
    ]
    assert logged.learn(leaf(1700, 3, configuration=single)) == []
    assert logged.find(single.sha256, []) is not None
