"""The quick way gives what the full way gives, or nothing: over any profile, type, order, range and answer."""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.library import bundled
from edge.library import profile as profile_of
from edge.reads.plan import requests_of
from hakari.clock import UNSYNCHRONISED
from hakari.quality import Quality
from hakari.registers.check import problems
from hakari.registers.decode import Decoder, decode_block
from hakari.registers.plain import plain_of
from hakari.registers.profile import Order, Point, Profile, Type
from hakari.registers.requests import ReadRequest
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import Block, Leaf, Sample, Sync
from hakari.wire.rows import Derived, Place, derive

CASES = Path(__file__).resolve().parent.parent / "cases" / "profiles"
TYPES: list[Type] = ["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "acc32", "acc64", "bcd32", "m10k32"]
ORDERS: list[Order] = ["high_first", "low_first"]
SPECIAL = [
    b"\x00\x00", b"\x00\x01", b"\xff\xff", b"\x7f\xff", b"\x80\x00", b"\x7f\xc0", b"\x7f\x80", b"\xff\x80", b"\x00\x80",
    b"\x43\x66", b"\xff\xfe", b"\x00\x05", b"\x00\x0b", b"\x41\x20", b"\xc1\x20",
]  # fmt: skip
words = st.sampled_from(SPECIAL) | st.binary(min_size=2, max_size=2)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Points of every kind side by side: ranges, sentinels, scales, bits, an identity, other orders."""
    points: list[Point] = []
    address = 0
    plain = draw(st.booleans())
    scaled = not plain and draw(st.booleans())
    for k in range(draw(st.integers(1, 6))):
        type_ = draw(st.sampled_from(TYPES[:10] if plain else TYPES))
        float_ = type_ in ("f32", "f64")
        bits = type_ == "u16" and not plain and draw(st.booleans())
        limits = draw(st.sampled_from([(None, None), ("-10", "300"), ("0", None), (None, "0.1"), ("0.3", "70000")]))
        points.append(
            Point(
                f"p{k}", address, type_, draw(st.sampled_from(["counter", "gauge"])), "Wh",
                exponent=0 if float_ else draw(st.integers(-3, 3)),
                word_order="high_first" if plain else draw(st.sampled_from(ORDERS)),
                byte_order="high_first" if plain else draw(st.sampled_from(ORDERS)),
                sentinels=[] if bits else draw(st.sampled_from([[], [0xFFFF], [0x8000, 0]])),
                minimum=limits[0], maximum=limits[1], bit=3 if bits else 0, bit_count=2 if bits else 0,
            )
        )  # fmt: skip
        if scaled and not float_ and not bits:
            points[-1] = msgspec.structs.replace(points[-1], scale_point="s", exponent=0)
        address += points[-1].length
    if scaled:
        points.append(Point("s", address, "sunssf", "scale"))
        address += 1
    if draw(st.booleans()):
        points.append(Point("id", address, "u16", "identity", expect="5"))
    return Profile("p", "maker", "model", "source", "two-sources", points)


def same(profile: Profile, request: ReadRequest, answer: bytes) -> bool:
    """Whether the quick way takes an answer; where it does, it says what the full way says."""
    full = decode_block(profile, "m", request.encode(), answer)
    plain = plain_of(Decoder(profile).window(request.encode()))
    taken = None if plain is None else plain.take(answer)
    if taken is None:
        return False
    assert all(reading.quality is Quality.GOOD for reading in full)
    told = list(zip(taken.form.names, taken.form.types, taken.raws, taken.form.exponents, strict=True))
    assert told == [(one.point, one.type, one.raw, one.exponent) for one in full]
    assert plain is not None
    assert plain.take(answer) == taken
    return True


@given(profiles(), st.data())
def test_any_answer_goes_both_ways(profile: Profile, data: st.DataObject) -> None:
    if list(problems(profile)):
        return
    for request in requests_of(profile, 1):
        body = b"".join(data.draw(words) for _ in range(request.count))
        whole = bytes((request.function, len(body))) + body
        same(profile, request, whole)
        same(
            profile,
            request,
            data.draw(st.sampled_from([b"", whole[:-1], whole + b"\0", b"\x83\x02", b"\x04" + whole[1:]])),
        )


@pytest.mark.parametrize("name", bundled())
def test_bundled_profiles_with_any_words(name: str) -> None:
    profile = profile_of(name, CASES)
    for request in requests_of(profile, 1):
        for seed in range(40):
            body = b"".join(SPECIAL[(seed * 7 + k * (seed + 3)) % len(SPECIAL)] for k in range(request.count))
            same(profile, request, bytes((request.function, len(body))) + body)


@pytest.mark.parametrize(
    ("type_", "body"),
    [("f32", struct.pack(">4f", 230.1, 0.0, -1.5, 1e30)), ("f64", struct.pack(">4d", 230.1, 0.0, -1.5, 1e30)),
     ("i32", struct.pack(">4i", 0, -1, 5, 2**31 - 1)), ("u64", struct.pack(">4Q", 0, 1, 5, 2**64 - 1))],
)  # fmt: skip
def test_what_is_plainly_good_takes_the_quick_way(type_: Type, body: bytes) -> None:
    width = len(body) // 8
    points = [Point(f"p{k}", k * width, type_, "gauge", "V", word_order="high_first") for k in range(4)]
    profile = Profile("p", "maker", "model", "source", "two-sources", points)
    assert same(profile, ReadRequest(1, 3, 0, len(body) // 2), bytes((3, len(body))) + body)
    one = Profile("p", "maker", "model", "source", "two-sources", points[:1])
    assert same(one, ReadRequest(1, 3, 0, width), bytes((3, 2 * width)) + body[: 2 * width])


@st.composite
def leaves(draw: st.DrawFn) -> Leaf:
    """Samples of two meters, some of them doubled, late, early, failed, or of a clock that nobody knows."""
    samples = []
    for _ in range(draw(st.integers(1, 4))):
        slot_ms, mono_ms = 10_000 + draw(st.integers(0, 2)) * 1000, draw(st.integers(1, 2))
        blocks = []
        for meter, unit in draw(st.lists(st.sampled_from([("a", 1), ("b", 2), ("c", 3)]), max_size=4)):
            request = ReadRequest(unit, 3, 0, draw(st.sampled_from([2, 4])))
            body = b"".join(draw(words) for _ in range(request.count))
            answer = draw(st.sampled_from([bytes((3, len(body))) + body] * 6 + [b"", b"\x83\x02"]))
            blocks.append(
                Block(
                    meter, draw(st.sampled_from(["modbus-tcp"] * 6 + ["m-bus"])), request.encode().hex(),
                    slot_ms + draw(st.sampled_from([0, 5, 5, 5, -1, 2000])), 5,
                    draw(st.sampled_from([answer.hex()] * 6 + ["xy"])), draw(st.sampled_from([""] * 6 + ["no answer"])),
                )
            )  # fmt: skip
        samples.append(Sample(slot_ms, mono_ms, blocks))
    state = draw(st.sampled_from(["synchronised", "synchronised", "synchronised", UNSYNCHRONISED]))
    return Leaf(
        v=1, edge="sola-e1", epoch=7, i=3, boot="b", wall_ms=20_000, mono_ms=9, sync=Sync(state), cfg="c",
        sw="s", salt="00" * 16, samples=samples,
    )  # fmt: skip


def configuration() -> MeteringConfiguration:
    first = Point("v", 0, "f32", "gauge", "V", word_order="high_first")
    second = Point("e", 2, "u32", "counter", "Wh", word_order="high_first")
    profile = Profile("p", "maker", "model", "source", "two-sources", [first, second])
    doubted = msgspec.structs.replace(profile, proof="constructed")
    meters = [Meter("a", "bus", 1, "1", profile), Meter("b", "bus", 2, "2", doubted, commissioned=["e"])]
    return MeteringConfiguration(v=1, edge="sola-e1", interval_ms=1000, max_lag_ms=1000, meters=meters)


CONFIGURATION = {"c": configuration()}


@given(leaves(), st.sampled_from([None, frozenset({"sola-e1/a/v"}), frozenset({"sola-e1/b/e", "sola-e1/a/e"})]))
def test_a_leaf_gives_the_same_rows_both_ways(leaf: Leaf, points: frozenset[str] | None) -> None:
    place = Place("sola-e1", 7, 3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hakari.wire.rows._Collected._add_plain", lambda *_: False)
        full = derive(place, leaf, CONFIGURATION, points)
    quick: Derived = derive(place, leaf, CONFIGURATION, points)
    assert quick.rows == full.rows
    assert quick.refusals == full.refusals
