"""From a leaf to rows of readings: pure, the one derivation that ingest, calc and `hakari verify` share.

Guaranteed: the same leaf with the same configurations gives the same rows, whoever derives them; what cannot
be derived is refused with a sentence and never guessed. Times are UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from hakari.clock import UNSYNCHRONISED
from hakari.errors import DataProblem
from hakari.names import BadName, check_local, point_id
from hakari.quality import Quality
from hakari.registers.check import problems
from hakari.registers.decode import decode_sample
from hakari.registers.given import GIVEN_TYPE, reading_of
from hakari.registers.plain import Taken
from hakari.registers.profile import MEASURED
from hakari.registers.reading import Reading
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import GIVEN_BOOT, Block, Carried, Given, Leaf, Sample, decode
from hakari.wire.ways import answer_of, exchange, way_of
from hakari.wire.wide import Row, Rows, RowsRefused, Wide

# What is made here is had from here, with the types of what it gives.
__all__ = [
    "EARLY", "LATE", "MAX_FUTURE_MS", "UNCLOCKED", "Configurations", "Derived", "DerivedWide", "Place", "Row", "Rows",
    "RowsRefused", "carried_leaf", "derive", "derive_wide", "once", "rows_of_leaf",
]  # fmt: skip

LATE = "late acquisition"
EARLY = "acquired before its slot"
UNCLOCKED = "clock not synchronised"
MAX_FUTURE_MS = 5 * 60 * 1000
MAX_REFUSALS = 20
MAX_REFUSAL_CHARS = 300
MAX_CONFIGURATIONS = 256
MAX_CHOICES = 256

Configurations = Mapping[str, MeteringConfiguration]


class Derived(NamedTuple):
    """The rows of a leaf, and a sentence for each part of it that gave none."""

    rows: list[Row]
    refusals: list[str]


class DerivedWide(NamedTuple):
    """As `Derived`, with rows kept wide."""

    rows: Rows
    refusals: list[str]


class Place(NamedTuple):
    """Where a leaf stands in the evidence log."""

    edge_id: str
    epoch: int
    i: int


def derive(place: Place, leaf: Leaf, configurations: Configurations, points: frozenset[str] | None = None) -> Derived:
    """As `derive_wide`, every row by itself."""
    derived = derive_wide(place, leaf, configurations, points)
    return Derived(list(derived.rows), derived.refusals)


def derive_wide(
    place: Place, leaf: Leaf, configurations: Configurations, points: frozenset[str] | None = None
) -> DerivedWide:
    """The rows of the leaf that stands at `place`; a carried leaf's rows have its carrier's place.

    `configurations` by hash. With `points` only their rows are made, while all meters are checked and the
    refusals are the same. RowsRefused when the leaf does not belong to its place or its configuration is
    unknown; a carried leaf, a sample or a meter that cannot be used is among the refusals while the others
    give rows. A sample whose slot lies more than five minutes after the time at which its own leaf was cut is
    such a one: its clock was set back since, so that nobody knows when it was taken. One row a point, slot and
    sample: of a repeated one the best quality, then the first.
    """
    if (leaf.edge, leaf.epoch, leaf.i) != place:
        raise RowsRefused(f"leaf says it is {leaf.edge} {leaf.epoch}/{leaf.i} but stands at {_shown(place)}")
    collected = _Collected(place, None if points is None else _names_by_meter(place.edge_id, points))
    if leaf.samples:
        collected.add_leaf(leaf, configurations)
    if leaf.carried is not None:
        try:
            collected.add_leaf(_carried(place, leaf.carried), configurations)
        except DataProblem as error:
            collected.refuse(f"carried leaf {leaf.carried.epoch}/{leaf.carried.i}: {error}")
    return collected.derived()


def rows_of_leaf(edge_id: str, epoch: int, leaf: Leaf, configurations: Configurations) -> list[Row]:
    """The rows of `derive` alone, for leaves whose numbers are already known to be theirs."""
    return derive(Place(edge_id, epoch, leaf.i), leaf, configurations).rows


def once(rows: Iterable[Row]) -> list[Row]:
    """Rows by (t_ms, epoch, leaf), one an identity (point, boot, mono_ms): that of the earliest place (I10).

    The place decides, not the slot: leaves that come later can never displace a reading that counted before.
    """
    first: dict[tuple[str, str, int], Row] = {}
    for row in sorted(rows, key=lambda row: (row.epoch, row.leaf, row.t_ms)):
        first.setdefault((row.point, row.boot, row.mono_ms), row)
    return sorted(first.values(), key=lambda row: (row.t_ms, row.epoch, row.leaf, row.point, row.boot, row.mono_ms))


def carried_leaf(leaf: Leaf) -> Leaf | None:
    """The leaf that `leaf` carries, None when it carries none; DataProblem when that cannot be read."""
    return None if leaf.carried is None else _carried(Place(leaf.edge, leaf.epoch, leaf.i), leaf.carried)


def _carried(place: Place, carried: Carried) -> Leaf:
    leaf = decode(carried.bytes())
    if (leaf.edge, leaf.epoch, leaf.i) != (place.edge_id, carried.epoch, carried.i):
        raise RowsRefused(f"it says it is {leaf.edge} {leaf.epoch}/{leaf.i}")
    if leaf.carried is not None or leaf.epoch >= place.epoch:
        raise RowsRefused(f"it carries another leaf, or is not of an epoch before {place.epoch}")
    return leaf


class _Collected:
    """Rows and refusals of one place."""

    def __init__(self, place: Place, wanted: Mapping[str, frozenset[str]] | None) -> None:
        self._place = place
        self._wanted = wanted
        # Of meters in samples, wide ones; of single rows their keys. A place in it is that of the first one.
        self._parts: dict[tuple[object, ...], Wide | None] = {}
        self._rows: dict[tuple[object, ...], Row] = {}
        self._single: set[tuple[object, ...]] = set()
        self._refusals: dict[str, None] = {}

    def refuse(self, sentence: str) -> None:
        self._refusals[sentence[:MAX_REFUSAL_CHARS]] = None

    def derived(self) -> DerivedWide:
        refusals = list(self._refusals)
        if len(refusals) > MAX_REFUSALS:
            refusals = [*refusals[:MAX_REFUSALS], f"and {len(refusals) - MAX_REFUSALS} more refusals of this leaf"]
        parts = [self._rows[key] if wide is None else wide for key, wide in self._parts.items()]
        return DerivedWide(Rows(parts), refusals)

    def add_leaf(self, leaf: Leaf, configurations: Configurations) -> None:
        if not leaf.samples:
            return
        configuration = configurations.get(leaf.cfg)
        if configuration is None:
            raise RowsRefused(f"configuration {leaf.cfg or '(none)'} was not logged before leaf {leaf.epoch}/{leaf.i}")
        if configuration.edge != leaf.edge:
            raise RowsRefused(f"configuration {leaf.cfg} is that of {configuration.edge}, the leaf that of {leaf.edge}")
        for sample in leaf.samples:
            if sample.slot_ms - leaf.wall_ms > MAX_FUTURE_MS:
                ahead_s = (sample.slot_ms - leaf.wall_ms) // 1000
                self.refuse(
                    f"slot {sample.slot_ms} lies {ahead_s} s in the future of leaf {leaf.epoch}/{leaf.i},"
                    f" limit {MAX_FUTURE_MS // 1000} s"
                )
                continue
            self._add_sample(sample, leaf, configuration)

    def _add_sample(self, sample: Sample, leaf: Leaf, configuration: MeteringConfiguration) -> None:
        unusable, meters = _looked_at(configuration)
        for meter_id, blocks in _by_meter(sample).items():
            meter = meters.get(meter_id)
            if meter is None or meter_id in unusable:
                reason = unusable.get(meter_id, "is no known meter")
                self.refuse(f"meter {meter_id!r} of configuration {leaf.cfg} {reason}")
            elif meter.origin:
                self.refuse(f"meter {meter_id!r} of configuration {leaf.cfg} is {meter.origin}, not read by an edge")
            elif not self._add_plain(meter, blocks, sample, leaf, configuration.max_lag_ms):
                self._add_meter(meter, blocks, sample, leaf, configuration.max_lag_ms)
        for given in sample.given:
            self._add_given(given, configuration, unusable, sample, leaf)

    def _add_given(
        self,
        given: Given,
        configuration: MeteringConfiguration,
        unusable: Mapping[str, str],
        sample: Sample,
        leaf: Leaf,
    ) -> None:
        meter = configuration.meter(given.meter)
        if meter is None or given.meter in unusable:
            reason = unusable.get(given.meter, "is no known meter")
            self.refuse(f"meter {given.meter!r} of configuration {leaf.cfg} {reason}")
            return
        if not meter.origin or leaf.boot != GIVEN_BOOT or sample.mono_ms != sample.slot_ms:
            self.refuse(f"meter {given.meter!r}, slot {sample.slot_ms}: a given value stands among measured ones")
            return
        point = next((one for one in meter.profile.points if one.name == given.point), None)
        if point is None or point.type != GIVEN_TYPE or point.kind not in MEASURED:
            self.refuse(f"meter {given.meter!r} has no point {given.point!r} of type {GIVEN_TYPE} that is measured")
            return
        if self._wanted is None or given.point in self._wanted.get(meter.id, _NONE):
            self._add_reading(reading_of(meter.id, point, given.value), meter.doubt(point.name), sample, leaf.boot)

    def _add_plain(self, meter: Meter, blocks: list[Block], sample: Sample, leaf: Leaf, max_lag_ms: int) -> bool:
        """Adds what a meter gave in a sample where all of it is plainly good, and says whether it was."""
        key = (meter.id, sample.slot_ms, leaf.boot, sample.mono_ms)
        if key in self._parts or key in self._single or leaf.sync.state == UNSYNCHRONISED:
            return False
        way = way_of(self._place.edge_id, meter, None if self._wanted is None else self._wanted.get(meter.id, _NONE))
        taken: list[Taken] = []
        for block in blocks:
            plain = way.plain(block.protocol, block.request)
            if plain is None or block.error or not 0 <= block.wall_ms - sample.slot_ms <= max_lag_ms:
                return False
            one = plain.take(answer_of(block))
            if one is None:
                return False
            taken.append(one)
        shape = way.shape(tuple([one.form for one in taken]))
        if shape is None:
            return False
        raws = taken[0].raws if len(taken) == 1 else tuple([raw for one in taken for raw in one.raws])
        if raws:
            place = self._place
            self._parts[key] = Wide(shape, sample.slot_ms, place.epoch, place.i, leaf.boot, sample.mono_ms, raws)
        return True

    def _narrow(self, key: tuple[object, ...]) -> None:
        """Makes single rows of a wide one at `key`, since others of its meter come for the same slot."""
        wide = self._parts.get(key)
        if wide is None:
            return
        parts, self._parts = self._parts, {}
        for known, part in parts.items():
            if known != key:
                self._parts[known] = part
                continue
            for row in wide.rows():
                single = (row.point, row.t_ms, row.boot, row.mono_ms)
                self._parts[single] = None
                self._rows[single] = row

    def _add_meter(self, meter: Meter, blocks: list[Block], sample: Sample, leaf: Leaf, max_lag_ms: int) -> None:
        boot, unclocked = leaf.boot, UNCLOCKED if leaf.sync.state == UNSYNCHRONISED else ""
        names = None if self._wanted is None else self._wanted.get(meter.id, _NONE)
        try:
            read = decode_sample(meter.profile, meter.id, [exchange(block, meter.unit) for block in blocks], names)
        except DataProblem as error:
            self.refuse(f"meter {meter.id!r}, slot {sample.slot_ms}: {error}")
            return
        self._narrow((meter.id, sample.slot_ms, boot, sample.mono_ms))
        self._single.add((meter.id, sample.slot_ms, boot, sample.mono_ms))
        for block, readings in zip(blocks, read, strict=True):
            reason = (unclocked or _untimely(block, sample, max_lag_ms)) if readings else ""
            for reading in readings:
                self._add_reading(reading, reason or meter.doubt(reading.point), sample, boot)

    def _add_reading(self, reading: Reading, doubt: str, sample: Sample, boot: str) -> None:
        point = point_id(self._place.edge_id, reading.meter, reading.point)
        quality, reason = reading.quality, reading.reason
        if doubt and quality is Quality.GOOD:
            quality, reason = Quality.UNCERTAIN, doubt
        key: tuple[object, ...] = (point, sample.slot_ms, boot, sample.mono_ms)
        known = self._rows.get(key)
        if known is not None and known.quality <= quality:
            return
        self._parts[key] = None
        self._rows[key] = Row(
            point, sample.slot_ms, reading.type, reading.raw, reading.exponent, int(quality), reason,
            self._place.epoch, self._place.i, boot, sample.mono_ms,
        )  # fmt: skip


_NONE: frozenset[str] = frozenset()


@lru_cache(maxsize=MAX_CHOICES)
def _names_by_meter(edge_id: str, points: frozenset[str]) -> dict[str, frozenset[str]]:
    """The names of an edge's `points` by meter; those of other edges and what is no point are nobody's."""
    names: dict[str, set[str]] = {}
    for point in points:
        edge, _, local = point.partition("/")
        meter, _, name = local.partition("/")
        if edge == edge_id:
            names.setdefault(meter, set()).add(name)
    return {meter: frozenset(found) for meter, found in names.items()}


def _by_meter(sample: Sample) -> dict[str, list[Block]]:
    blocks: dict[str, list[Block]] = {}
    for block in sample.blocks:
        blocks.setdefault(block.meter, []).append(block)
    return blocks


def _untimely(block: Block, sample: Sample, max_lag_ms: int) -> str:
    """Why a block does not tell the register at its slot, "" when it does."""
    lag_ms = block.wall_ms - sample.slot_ms
    return EARLY if lag_ms < 0 else LATE if lag_ms > max_lag_ms else ""


_Looked = tuple[dict[str, str], dict[str, Meter]]
_checked: dict[int, tuple[MeteringConfiguration, _Looked]] = {}


def _looked_at(configuration: MeteringConfiguration) -> _Looked:
    """Meters whose name or profile cannot be used, and why; and the first meter of each name.

    Found once for each configuration object.
    """
    known = _checked.get(id(configuration))
    if known is None:
        if len(_checked) >= MAX_CONFIGURATIONS:
            _checked.clear()
        meters = {meter.id: meter for meter in reversed(configuration.meters)}
        # The object is kept beside the answer, so that its id stays its own.
        known = _checked[id(configuration)] = (configuration, (_find_unusable(configuration), meters))
    return known[1]


def _find_unusable(configuration: MeteringConfiguration) -> dict[str, str]:
    unusable: dict[str, str] = {}
    seen: set[str] = set()
    for meter in configuration.meters:
        problem = next(problems(meter.profile), "")
        if problem:
            unusable[meter.id] = f"has the unusable profile {meter.profile.id}: {problem}"
        if meter.id in seen:
            unusable[meter.id] = "is described twice"
        seen.add(meter.id)
        try:
            check_local(meter.id, "meter")
        except BadName as error:
            unusable[meter.id] = f"cannot be used: {error}"
    return unusable


def _shown(place: Place) -> str:
    return f"{place.edge_id} {place.epoch}/{place.i}"
