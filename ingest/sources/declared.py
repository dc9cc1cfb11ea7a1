"""The meters that a mapping declares, as the metering configuration that ingest logs in a log of its own. Pure.

Guaranteed: what a mapping declares is checked like an edge's profile, and every meter of it carries the origin of its
readings, so that they can never pass for measured ones.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated, Literal, NamedTuple

import msgspec

from hakari.errors import BadConfiguration
from hakari.names import check_local
from hakari.registers.check import problems
from hakari.registers.given import GIVEN_TYPE
from hakari.registers.profile import MAX_EVERY, WORDS, Point, Profile
from hakari.registers.profile import Name as PointName
from hakari.wire.configuration import Meter, MeteringConfiguration, sha256_of, text_of

MAX_METERS = 1000
MAX_POINTS = 1000
DAY_S = 86_400
MAX_LAG_MS = 86_400_000
AMOUNT = "amount"
GIVEN_BUS = "given"

Short = Annotated[str, msgspec.Meta(max_length=200)]
Bound = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,40}(\.[0-9]{1,18})?\Z")]
Origin = Literal["received", "imported", "declared"]


class DeclaredInvalid(BadConfiguration):
    """A mapping declares meters that cannot be used."""


class DeclaredPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[meter.point]]`: one quantity. `kind` "counter" is a cumulative register, "gauge" a momentary value.

    `unit` is the one in which values are given; values outside `minimum` to `maximum` are kept and never credited.
    """

    name: PointName
    unit: Annotated[str, msgspec.Meta(max_length=20)]
    kind: Literal["counter", "gauge", "amount"]
    minimum: Bound | None = None
    maximum: Bound | None = None


class DeclaredMeter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[meter]]`: one meter, its nameplate's `serial`, and from when on (`from`) its values are taken."""

    id: PointName
    serial: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    point: Annotated[list[DeclaredPoint], msgspec.Meta(min_length=1, max_length=MAX_POINTS)]
    from_: dt.datetime | None = msgspec.field(default=None, name="from")
    maker: Short = ""
    model: Short = ""

    @property
    def from_ms(self) -> int:
        """The first instant whose values are taken, UTC milliseconds."""
        return 0 if self.from_ is None else int(self.from_.timestamp() * 1000)


class Declared(NamedTuple):
    """What a mapping declares, ready to be logged: the configuration's text and hash, and its points.

    `points` maps (meter, point) to what was declared, `from_ms` each meter to the first instant that it gives,
    `serials` each meter to the number on its nameplate.
    """

    text: str
    cfg: str
    origin: Origin
    points: dict[tuple[str, str], Point]
    from_ms: dict[str, int]
    serials: dict[str, str]


def declare(log_id: str, meters: list[DeclaredMeter], origin: Origin, interval_s: int) -> Declared:
    """The configuration of `meters` in the own log `log_id`, whose values are expected every `interval_s` seconds.

    Errors: DeclaredInvalid and a name's error, which name the meter and the field.
    """
    if not 1 <= len(meters) <= MAX_METERS:
        raise DeclaredInvalid(f"a mapping declares {len(meters)} meters; it must declare 1 to {MAX_METERS}")
    every, rest = divmod(interval_s, DAY_S)
    if rest and interval_s > DAY_S:
        raise DeclaredInvalid(f"interval_s = {interval_s} is more than a day and no whole number of days; round it up")
    interval_ms = min(interval_s, DAY_S) * 1000
    made = [_meter(one, origin, min(max(every, 1), MAX_EVERY)) for one in meters]
    ids = [one.id for one in made]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise DeclaredInvalid(f"[[meter]] {twice[0]} is declared twice; keep one")
    text = text_of(MeteringConfiguration(1, log_id, interval_ms, MAX_LAG_MS, made))
    points = {(one.id, point.name): point for one in made for point in one.profile.points}
    from_ms, serials = {one.id: one.from_ms for one in meters}, {one.id: one.serial for one in meters}
    return Declared(text, sha256_of(text), origin, points, from_ms, serials)


def _meter(declared: DeclaredMeter, origin: Origin, every: int) -> Meter:
    check_local(declared.id, "[[meter]].id")
    if declared.from_ is not None and declared.from_.tzinfo is None:
        raise DeclaredInvalid(f"[[meter]] {declared.id}: from has no offset; write it as 2026-05-01T00:00:00+07:00")
    for one in declared.point:
        if one.kind == AMOUNT:
            raise DeclaredInvalid(
                f"[[meter]] {declared.id}: point {one.name} has kind amount; an amount of a period cannot be credited,"
                ' only a cumulative register can: give the register reading on the invoice, kind = "counter"'
            )
    points = [_point(k, one, every) for k, one in enumerate(declared.point)]
    digest = hashlib.sha256(msgspec.json.encode(points)).hexdigest()[:12]
    profile = Profile(
        id=f"given-{digest}",
        maker=declared.maker,
        model=declared.model,
        source="declared by the mapping of a source",
        standing="one-source",
        points=points,
    )
    if problem := next(problems(profile), ""):
        raise DeclaredInvalid(f"[[meter]] {declared.id}: {problem}")
    return Meter(declared.id, GIVEN_BUS, 0, declared.serial, profile, origin=origin)


def _point(k: int, one: DeclaredPoint, every: int) -> Point:
    # No register is read; the addresses only keep the points apart.
    kind: Literal["counter", "gauge"] = "counter" if one.kind == "counter" else "gauge"
    return Point(
        name=one.name,
        address=k * WORDS[GIVEN_TYPE],
        type="i64",
        kind=kind,
        unit=one.unit,
        every=every,
        minimum=one.minimum,
        maximum=one.maximum,
    )
