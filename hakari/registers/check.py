"""Refusal of profiles that could be read in two ways, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from hakari.errors import BadConfiguration
from hakari.registers.groups import backed, groups_of
from hakari.registers.profile import MEASURED, Point, Profile
from hakari.registers.reading import BCD, FLOATS, M10K, SIGNED, WIDTH_BITS, modulus, pattern_of_digits
from hakari.units import UNITS

ADDRESS_SPACE = 65536
BIT_TYPES = frozenset({"u16", "u32", "u64"})
BITS_TEXT = "u16, u32 and u64"
SCALE_TYPES = frozenset({"sunssf", "i16", "u16"})


class ProfileInvalid(BadConfiguration):
    """A profile contradicts itself or leaves open what a register means."""


def check_profile(profile: Profile) -> None:
    """Returns when every point of `profile` has exactly one meaning; ProfileInvalid names what has not."""
    for problem in problems(profile):
        raise ProfileInvalid(f"profile {profile.id}: {problem}")


def problems(profile: Profile) -> Iterator[str]:
    """Everything that is wrong with `profile`, a sentence each."""
    if not profile.points:
        yield "it has no points; describe at least one"
    yield from _repeated_names(profile)
    for point in profile.points:
        yield from (f"point {point.name} {problem}" for problem in _point_problems(point, profile.max_words))
        yield from (f"point {point.name} {problem}" for problem in _scale_problems(point, profile))
    for span in profile.spans:
        if span.start + span.count > ADDRESS_SPACE:
            yield f"span at {span.start} of {span.count} registers ends beyond 65535; shorten it"
    yield from _separate_problems(profile) if profile.separate else _overlaps(profile)
    yield from _group_problems(profile)


def _repeated_names(profile: Profile) -> Iterator[str]:
    seen: set[str] = set()
    for point in profile.points:
        if point.name in seen:
            yield f"point {point.name} is described twice; give each point its own name"
        seen.add(point.name)


def _point_problems(point: Point, max_words: int) -> Iterator[str]:
    if (point.type == "string") != (point.words > 0):
        yield f"is of type {point.type} with words = {point.words}; words is the length of a string and only of one"
    if point.address + point.length > ADDRESS_SPACE:
        yield f"at {point.address} ends beyond 65535; correct its address"
    if point.length > max_words:
        yield f"has {point.length} registers, more than one request may read ({max_words})"
    if point.type == "string" and (point.kind != "identity" or point.word_order != "high_first"):
        yield "is a string; a string can only be an identity, first word first"
    scales = point.type in SCALE_TYPES if point.kind == "scale" else point.type != "sunssf"
    if not scales:
        yield f"is a {point.kind} of type {point.type}; a scale point is of type sunssf, i16 or u16"
    if point.kind == "counter" and not point.unit:
        yield "is a counter without a unit; state the unit in which it counts"
    if point.unit and point.unit not in UNITS:
        yield f"has unit {point.unit!r}, which is not known; known are {', '.join(UNITS)}"
    if point.exponent and (point.kind in ("scale", "identity") or point.scale_point):
        yield f"has exponent {point.exponent}, which its kind or its scale_point excludes; leave it out"
    yield from _pattern_problems(point)
    yield from _bit_problems(point)
    yield from _bound_problems(point)


def _pattern_problems(point: Point) -> Iterator[str]:
    if point.sentinels and point.kind == "identity":
        yield "is an identity with sentinels; an identity is compared as it is"
    width = point.bit_count or WIDTH_BITS.get(point.type, 0)
    for sentinel in point.sentinels:
        if width and not 0 <= sentinel < 1 << width:
            what = "its field" if point.bit_count else point.type
            yield f"has sentinel {sentinel:#x}, which does not fit the {width} bits of {what}"
    if point.expect is not None and point.every > 1:
        yield f"expects {point.expect!r} and has every = {point.every}; what is expected is read with each sample"
    if point.expect is not None:
        if point.kind != "identity":
            yield f"expects {point.expect!r} but is a {point.kind}; only an identity can expect"
        elif point.type != "string" and expected_raw(point) is None:
            bits = f" in {point.bit_count} bits" if point.bit_count else ""
            yield f"expects {point.expect!r}, which is no whole number of type {point.type}{bits}"


def _bit_problems(point: Point) -> Iterator[str]:
    if point.bit and not point.bit_count:
        yield f"names bit {point.bit} without a bit_count; say how many bits the field has"
    if point.bit_count and (point.type not in BIT_TYPES or point.kind not in ("gauge", "identity")):
        yield f"is a bit field and a {point.kind} of type {point.type}; only gauges and identities of {BITS_TEXT} are"
    width = WIDTH_BITS.get(point.type, 0)
    if point.bit_count and point.bit + point.bit_count > width:
        yield f"has bits {point.bit} to {point.bit + point.bit_count - 1}, beyond the {width} bits of {point.type}"
    if not point.wraps_at:
        return
    most = modulus(point.type)
    if point.kind != "counter" or most is None or point.wraps_at > most:
        yield f"wraps at {point.wraps_at}; only an unsigned counter wraps, at most at {most}"


def _bound_problems(point: Point) -> Iterator[str]:
    bounds: list[Decimal] = []
    for field, text in (("minimum", point.minimum), ("maximum", point.maximum)):
        if text is None:
            continue
        if point.kind not in MEASURED:
            yield f"is a {point.kind} with a {field}; only counters and gauges have bounds"
        try:
            bound = Decimal(text)
        except InvalidOperation:
            bound = Decimal("nan")
        if not bound.is_finite():
            yield f"has {field} {text!r}, which is not a decimal number"
        else:
            bounds.append(bound)
    if len(bounds) == 2 and bounds[0] > bounds[1]:
        yield f"has minimum {point.minimum} above maximum {point.maximum}; exchange them"


def expected_raw(point: Point) -> int | None:
    """The bit pattern that a numeric identity point expects, None when its `expect` is no such number.

    `expect` is a whole number, of BCD and M10K the one in the digits; "0x…" is the pattern itself. A bit field's
    pattern is that of its bits alone.
    """
    if point.type in FLOATS or point.type == "string" or point.expect is None:
        return None
    try:
        number = int(point.expect, 0)
    except ValueError:
        return None
    width = point.bit_count or WIDTH_BITS[point.type]
    if number < 0 and point.type in SIGNED and number >= -(1 << (width - 1)):
        return number + (1 << width)
    is_pattern = point.expect.lower().startswith("0x")
    if point.type in BCD | M10K and not is_pattern:
        return pattern_of_digits(point.type, number)
    limit = 1 << (width - 1 if point.type in SIGNED and not is_pattern else width)
    return number if 0 <= number < limit else None


def _scale_problems(point: Point, profile: Profile) -> Iterator[str]:
    if point.scale_point is None:
        return
    if point.kind not in MEASURED or point.type in FLOATS:
        yield f"is a {point.kind} of type {point.type}; only whole-number counters and gauges take a scale_point"
    scale = next((p for p in profile.points if p.name == point.scale_point), None)
    if scale is None:
        yield f"names scale_point {point.scale_point}, which the profile does not describe; add it"
    elif scale.kind != "scale":
        yield f"names scale_point {scale.name}, which is a {scale.kind}; its kind must be scale"
    elif scale.table != point.table:
        yield f"is in table {point.table}, its scale_point {scale.name} in {scale.table}; one request reads one table"


def _overlaps(profile: Profile) -> Iterator[str]:
    furthest: dict[str, Point] = {}
    for point in sorted(profile.points, key=lambda p: (p.table, p.address)):
        before = furthest.get(point.table)
        if before is not None and point.address < before.address + before.length and not _may_share(before, point):
            yield (
                f"points {before.name} and {point.name} overlap at {point.table} register {point.address};"
                " correct an address, or set separate = true where each address has a value of its own"
            )
        if before is None or point.address + point.length > before.address + before.length:
            furthest[point.table] = point


def _separate_problems(profile: Profile) -> Iterator[str]:
    if profile.spans:
        yield "it is separate and has spans; no request of it reads across registers, so leave the spans out"
    requests: dict[tuple[str, int, int], Point] = {}
    for point in profile.points:
        if point.scale_point is not None:
            yield f"point {point.name} has a scale_point, which separate excludes; one answer holds one point"
        same = requests.setdefault((point.table, point.address, point.length), point)
        if same is not point:
            yield f"points {same.name} and {point.name} are the same {point.table} register {point.address}; keep one"


def _may_share(one: Point, other: Point) -> bool:
    """Whether two points may share registers: one identifies by the same value, or both are fields of other bits."""
    form = (one.address, one.type, one.length, one.word_order, one.byte_order)
    if form != (other.address, other.type, other.length, other.word_order, other.byte_order):
        return False
    if one.bit_count and other.bit_count:
        return one.bit + one.bit_count <= other.bit or other.bit + other.bit_count <= one.bit
    return "identity" in (one.kind, other.kind)


def _group_problems(profile: Profile) -> Iterator[str]:
    for group in groups_of(profile):
        names = f"{group.points[0].name} and {group.points[-1].name}"
        if len(group.points) > 1 and group.end - group.start > profile.max_words:
            yield (
                f"points {names} belong to one answer (a value and its scale point) but span"
                f" {group.end - group.start} registers, more than one request may read ({profile.max_words})"
            )
        if not backed(profile, group.table, group.start, group.end):
            yield (
                f"points {names} belong to one answer (a value and its scale point) but the registers between"
                " them are neither points nor in a span; add the span if the meter backs them"
            )
