"""Writes docs/meters.md from the bundled meter profiles: `make docs`. A test holds the page to what this prints."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from edge.library import bundled, profile
from edge.reads.plan import requests_of
from hakari.registers.profile import Point, Profile
from hakari.registers.reading import FLOATS, SIGNED, WIDTH_BITS, modulus
from hakari.units import UNITS, convert

HEAD = """# Meters

Written from the bundled profiles by `make docs`; do not edit. A profile is data without logic: `edge/profiles/*.toml`,
or a file of your own that `profile = "my-meter.toml"` names. Addresses are 0-based, as on the wire; *manual* is what
the source calls the register.

- *Standing* says how sure the register map is: read in two sources, in one, or in an excerpt.
- *Proof* says where the bytes of its case under `tests/cases/profiles/` come from: *captured* from a meter, or
  *constructed* by hand from the source. Readings of a constructed profile are credited only for points that
  `hakari edge commission` matched to the meter's display.
- *One count* is the finest step of a counter. A float has none of its own: its step grows with the total, here told
  for 1 GWh (a million of other units). *Wraps at* is where a counter starts again from 0: where the source says so,
  else the most that its registers hold, times the scale; a float and a signed counter have no such point. A total is
  joined across the latter only: a fall at a lower count that the source states counts as a reset, and what was counted
  across it is not credited.
- *Limits*: a reading outside them is kept and marked uncertain. *Not available* are patterns that are no number.
- *Identity*: registers that tell which meter answers and how it is set; with `=` they must hold that value.

One profile is loaded a meter that is configured, never the whole library: the page may grow, the edge does not.
"""
ELECTRICITY = "Electricity meters and analysers"
# Kinds of equipment by what stands in a model's name; the first that fits, else the kind above.
KINDS = {
    "Solar inverters and their loggers": ("inverter", "data manager", "smartlogger, the plant", "growatt", "sun2000"),
    "Transformer monitors": ("transformer", "temperature monitor"),
    "Chillers, heat pumps and boilers": ("chiller", "compressor", "fan coil", "heat pump", "boiler"),
    "Heat, steam, flow and gas": ("steam", "heat", "flow meter", "gas"),
}
GIGAWATT_HOUR = Decimal(10) ** 9
MILLION = Decimal(10) ** 6
FINE = Decimal("0.000001")
SIGNIFICAND_BITS = {"f32": 24, "f64": 53}


def page() -> str:
    """The whole page."""
    profiles = [profile(name, Path()) for name in bundled()]
    sections = (line for one in profiles for line in section(one))
    return "\n".join([HEAD, *summary(profiles), *sections]).rstrip() + "\n"


def kind_of(one: Profile) -> str:
    """What kind of equipment a profile describes, told by its model's name."""
    name = f"{one.maker} {one.model}".casefold()
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), ELECTRICITY)


def summary(profiles: list[Profile]) -> Iterator[str]:
    """The table at the top: a line a profile, by kind of equipment."""
    yield f"{len(profiles)} profiles."
    yield ""
    kinds = {one.id: kind_of(one) for one in profiles}
    for kind in (ELECTRICITY, *KINDS):
        named = [one for one in profiles if kinds[one.id] == kind]
        yield f"### {kind}"
        yield ""
        yield "| profile | meter | standing | proof | counters | one count | requests |"
        yield "|---|---|---|---|---|---|---|"
        for one in named:
            counters = [point for point in one.points if point.kind == "counter"]
            types = " ".join(sorted({point.type for point in counters})) or "none"
            counts = ", ".join(dict.fromkeys(one_count(point) for point in counters))
            yield (
                f"| [`{one.id}`](#{one.id}) | {one.maker} {one.model} | {one.standing} | {one.proof or 'not stated'}"
                f" | {types} | {counts} | {len(requests_of(one, 1))} |"
            )
        yield ""


def section(one: Profile) -> Iterator[str]:
    """One meter model: where its map comes from, how it is asked, what is read of it."""
    requests = len(requests_of(one, 1))
    yield f"## `{one.id}`"
    yield ""
    yield (
        f"{one.maker} {one.model}. Standing: {one.standing}. Proof: {one.proof or 'not stated'}."
        f" {requests} request{'s' * (requests > 1)} a sample{_manners(one)}."
    )
    yield ""
    yield f"Source: {one.source}."
    yield ""
    if one.notes:
        yield one.notes
        yield ""
    yield from _counters(one)
    yield from _measured(one)
    yield from _identity(one)


def _manners(one: Profile) -> str:
    parts = [
        f"at most {one.max_words} registers each" * (one.max_words < 125),
        "each value by a request of its own" * one.separate,
        f"{one.connect_delay_ms} ms after connecting" * bool(one.connect_delay_ms),
        f"{one.request_gap_ms} ms between requests" * bool(one.request_gap_ms),
        f"answers within {one.answer_ms} ms" * bool(one.answer_ms),
    ]
    return "".join(f", {part}" for part in parts if part)


def _counters(one: Profile) -> Iterator[str]:
    counters = [point for point in one.points if point.kind == "counter"]
    if not counters:
        return
    yield "| counter | register | type | one count | wraps at | limits | not available | manual |"
    yield "|---|---|---|---|---|---|---|---|"
    for point in counters:
        yield (
            f"| `{point.name}` | {_place(point)} | {_type(point)} | {one_count(point)} | {wrap(point)}"
            f" | {_limits(point)} | {_sentinels(point)} | {_manual(point)} |"
        )
    yield ""


def _measured(one: Profile) -> Iterator[str]:
    gauges = [point for point in one.points if point.kind in ("gauge", "scale")]
    if not gauges:
        return
    yield "| value | register | type | unit | limits | not available | manual |"
    yield "|---|---|---|---|---|---|---|"
    for point in gauges:
        kind = " (scale)" if point.kind == "scale" else ""
        yield (
            f"| `{point.name}`{kind} | {_place(point)} | {_type(point)} | {point.unit} | {_limits(point)}"
            f" | {_sentinels(point)} | {_manual(point)} |"
        )
    yield ""


def _identity(one: Profile) -> Iterator[str]:
    points = [point for point in one.points if point.kind == "identity"]
    if not points:
        yield "It tells nothing of itself: name another proof of which meter answers (`identity_proof`)."
        yield ""
        return
    yield "| identity | register | type | manual |"
    yield "|---|---|---|---|"
    for point in points:
        must = f" = `{point.expect}`" if point.expect is not None else ""
        yield f"| `{point.name}`{must} | {_place(point)} | {_type(point)} | {_manual(point)} |"
    yield ""


def _place(point: Point) -> str:
    every = f", every {point.every} slots" if point.every > 1 else ""
    return f"{point.table} {point.address}{every}"


def _type(point: Point) -> str:
    orders = [
        "low word first" * (point.word_order == "low_first"),
        "low byte first" * (point.byte_order == "low_first"),
        f"bits {point.bit} to {point.bit + point.bit_count - 1}" * bool(point.bit_count),
        f"{point.words} registers" * bool(point.words),
    ]
    scale = f" × 10^{point.scale_point}" if point.scale_point else f" × 10^{point.exponent}" * bool(point.exponent)
    return ", ".join([point.type, *(order for order in orders if order)]) + scale


def _limits(point: Point) -> str:
    if point.minimum is None and point.maximum is None:
        return ""
    return f"{point.minimum or ''} … {point.maximum or ''}".strip()


def _sentinels(point: Point) -> str:
    digits = WIDTH_BITS.get(point.type, 0) // 4
    return " ".join(f"0x{sentinel:0{digits}X}" for sentinel in point.sentinels)


def _manual(point: Point) -> str:
    return point.manual.replace("|", "\\|")


def plain(number: Decimal) -> str:
    """A number as people write it, without a power of ten; thousands apart."""
    return f"{number:,f}".replace(",", " ")


def one_count(point: Point) -> str:
    """The finest step of a counter in its unit; of a float that at 1 GWh, of one that counts no energy at a million."""
    unit = "" if point.unit == "1" else f" {point.unit}"
    if point.scale_point is not None:
        return f"10^{point.scale_point}{unit}"
    if point.type not in FLOATS:
        return plain(Decimal(1).scaleb(point.exponent)) + unit
    of = UNITS[point.unit]
    energy = of.dimension == "energy"
    total = convert(GIGAWATT_HOUR, "Wh", point.unit) if energy else MILLION
    step = _step(point.type, total.scaleb(-point.exponent)).scaleb(point.exponent)
    where = "1 GWh" if energy else f"{plain(total)}{unit}"
    shown = plain(step.normalize()) if step >= FINE else f"less than {plain(FINE)}"
    return f"grows: {shown}{unit} at {where}"


def _step(type_: str, value: Decimal) -> Decimal:
    """What one more in the last place of a float is worth at `value`, which is at least 1."""
    return Decimal(2) ** (int(value).bit_length() - SIGNIFICAND_BITS[type_])


def wrap(point: Point) -> str:
    """Where a counter starts again from 0, in its unit; empty where it does not, or nobody knows its scale."""
    if point.type in FLOATS:
        return "no"
    count = point.wraps_at or modulus(point.type)
    if count is None:
        return "no" if point.type in SIGNED else ""
    if point.scale_point is not None:
        return f"{plain(Decimal(count))} × 10^{point.scale_point} {point.unit}"
    return f"{plain(Decimal(count).scaleb(point.exponent))} {point.unit}"


if __name__ == "__main__":
    print(page(), end="")
