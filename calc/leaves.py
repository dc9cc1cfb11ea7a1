"""From the leaves of approved epochs to rows of readings per point, with what the configuration says of each.

Guaranteed: the same leaves give the same evidence, whether they come from the evidence log or from a pack; what
could not be read is named and never guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from calc.trail import Trail
from hakari.errors import DataProblem
from hakari.log.tree import HASH_BYTES, leaf_hash
from hakari.names import IMPORT_EVENT, point_id
from hakari.quality import Quality
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.forgone import Forgone
from hakari.wire.frozen import Stretch, by_meter, follow, live_points
from hakari.wire.leaf import Carried, Leaf, decode
from hakari.wire.logged import Logged, with_carried
from hakari.wire.rows import Place, Row, derive

MAX_PROBLEMS = 1000
NEVER_MS = -1
NO_SLOT_MS = 2**62


class Facts(NamedTuple):
    """What one configuration in force says of a point; `interval_ms` is how often its edge reads.

    `origin` is how its readings came where no edge measured them, as `hakari.wire.configuration.Meter` has it.
    """

    unit: str
    kind: str
    serial: str
    interval_ms: int = 0
    origin: str = ""


class Problem(NamedTuple):
    """A leaf, or a part of it, that could not be read."""

    edge_id: str
    epoch: int
    leaf: int
    text: str

    def __str__(self) -> str:
        return f"leaf {self.edge_id} {self.epoch}/{self.leaf}: {self.text}"


class Imported(NamedTuple):
    """A signed event that a file was imported, or that a person gave values: its words, plant time and leaf."""

    leaf: int
    wall_ms: int
    data: Mapping[str, str]


class Frozen(NamedTuple):
    """A meter was frozen after one instant until another; (`epoch`, `leaf`) is the leaf that told it."""

    after_ms: int
    until_ms: int
    epoch: int
    leaf: int


class EdgeEvidence:
    """Everything read so far from one edge's leaves, epoch by epoch and in order of number.

    `points` limits the rows that are made; `slots` has for each epoch the greatest slot that a leaf or one
    before it sampled itself, NEVER_MS before the first; `span` the first and last slot of a row, None before one.
    `frozen` tells by meter when it repeated itself word for word (`hakari.wire.frozen`), in order of leaves.
    `trail` has what the leaves say of the edge's meters beside readings.
    `forgone` names each run of leaves whose bodies nobody has any more, with the decision; they give no rows. `lost`
    has the first (epoch, leaf) of every such run.
    `forks` tells each carried leaf whose (epoch, number) holds another body: the edge's disk was restored once.
    `is_source` says that the roster lists the log among ingest's own: only such a one gives readings of an origin, and
    it gives no measured ones; meters that say otherwise give no rows and are a problem. `firsts` then has for each
    epoch the least slot of each leaf, NO_SLOT_MS of one without; `imported` its events of imports in order of leaves.
    """

    def __init__(self, edge_id: str, points: Collection[str], *, is_source: bool = False) -> None:
        self.edge_id = edge_id
        self.is_source = is_source
        self.firsts: dict[int, list[int]] = {}
        self.imported: dict[int, list[Imported]] = {}
        self._untrue: dict[str, frozenset[str]] = {}
        self.points = frozenset(points)
        self.rows: dict[str, list[Row]] = {point: [] for point in sorted(points)}
        self.facts: dict[str, dict[Facts, tuple[int, int]]] = {point: {} for point in self.rows}
        self.configurations: dict[str, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self.slots: dict[int, list[int]] = {}
        self.span: tuple[int, int] | None = None
        self.forks: list[Problem] = []
        self.forgone: list[Problem] = []
        self.lost: list[tuple[int, int]] = []
        self._after_lost: tuple[int, int] | None = None
        self.frozen: dict[str, list[Frozen]] = {point.split("/")[1]: [] for point in self.rows}
        self._stretches: dict[str, Stretch | None] = {}
        self._hashes: dict[int, bytearray] = {}
        self._carried: dict[tuple[int, int], bytes] = {}
        self._logged = Logged(edge_id)
        self.trail = Trail()

    @property
    def known(self) -> Mapping[str, MeteringConfiguration]:
        """The configurations that its leaves gave, by hash."""
        return self._logged.known

    def size(self, epoch: int) -> int:
        """Leaves of `epoch` that were read."""
        return len(self.slots.get(epoch, ()))

    def add(self, epoch: int, body: bytes, not_after_ms: int | None = None) -> None:
        """Reads the next leaf of `epoch`; what is wrong with it becomes a problem.

        A slot after `not_after_ms` (five minutes after it was received) never decides where a period is cut, nor
        which periods there are; its rows are kept, for a pack does not say when a leaf was received.
        """
        slots = self.slots.setdefault(epoch, [])
        place = Place(self.edge_id, epoch, len(slots))
        slots.append(slots[-1] if slots else NEVER_MS)
        firsts = self.firsts.setdefault(epoch, [])
        firsts.append(NO_SLOT_MS)
        self._hashes.setdefault(epoch, bytearray()).extend(leaf_hash(body))
        try:
            leaf = decode(body)
            if leaf.carried is not None and not self._counts(place, leaf.carried):
                leaf = msgspec.structs.replace(leaf, carried=None)
            sampled = [sample.slot_ms for sample in leaf.samples]
            slots[-1] = max([slots[-1], *(slot for slot in sampled if not_after_ms is None or slot <= not_after_ms)])
            firsts[-1] = min(sampled, default=NO_SLOT_MS)
            self._learn(place, leaf)
            derived = derive(place, leaf, self._logged.known, self.points)
            untrue = self._untrue_points(place, leaf)
            self._watch(place, leaf)
        except DataProblem as error:
            self._problem(place, str(error))
            return
        for refusal in derived.refusals:
            self._problem(place, refusal)
        for row in derived.rows:
            if row.point in untrue:
                continue
            self.rows[row.point].append(row)
            if not_after_ms is None or row.t_ms <= not_after_ms:
                first, last = self.span or (row.t_ms, row.t_ms)
                self.span = (min(first, row.t_ms), max(last, row.t_ms))

    def _untrue_points(self, place: Place, leaf: Leaf) -> frozenset[str]:
        """Points of meters that pass for another origin than their log can have; each configuration is named once."""
        found: frozenset[str] = frozenset()
        for one in with_carried(leaf):
            configuration = self._logged.known.get(one.cfg) if one.samples else None
            if configuration is None:
                continue
            if one.cfg not in self._untrue:
                meters = [meter for meter in configuration.meters if bool(meter.origin) != self.is_source]
                for meter in meters:
                    self._problem(place, _untrue_text(self.edge_id, meter, is_source=self.is_source))
                self._untrue[one.cfg] = frozenset(
                    point_id(self.edge_id, meter.id, point.name) for meter in meters for point in meter.profile.points
                )
            found |= self._untrue[one.cfg]
        return found

    def skip(self, epoch: int, digest: bytes, forgone: Forgone) -> None:
        """Passes over the next leaf of `epoch`, of which `digest` alone is left: no reading, so a gap."""
        slots = self.slots.setdefault(epoch, [])
        place = Place(self.edge_id, epoch, len(slots))
        slots.append(slots[-1] if slots else NEVER_MS)
        self.firsts.setdefault(epoch, []).append(NO_SLOT_MS)
        self._hashes.setdefault(epoch, bytearray()).extend(digest)
        if self._after_lost != (epoch, place.i):
            self.lost.append((epoch, place.i))
        self._after_lost = (epoch, place.i + 1)
        text = str(forgone)
        goes_on = self.forgone and (self.forgone[-1].epoch, self.forgone[-1].text) == (epoch, text)
        if not goes_on and len(self.forgone) < MAX_PROBLEMS:
            self.forgone.append(Problem(*place, text))

    def _counts(self, place: Place, carried: Carried) -> bool:
        """Whether a carried leaf neither stands in the log where it first stood nor was carried before (I10).

        Another body for the same place is no copy: a restored disk went on under numbers that were taken already,
        and what it sampled counts, each reading once.
        """
        try:
            found = leaf_hash(carried.bytes())
        except DataProblem:
            return True  # `derive` names it
        at = carried.i * HASH_BYTES
        known = bytes(self._hashes.get(carried.epoch, b"")[at : at + HASH_BYTES])
        known = known or self._carried.get((carried.epoch, carried.i), b"")
        if not known:
            self._carried[carried.epoch, carried.i] = found
        elif known != found and len(self.forks) < MAX_PROBLEMS:
            text = f"carried leaf {carried.epoch}/{carried.i} is another than the one that was signed there before"
            self.forks.append(Problem(*place, text))
        return known != found

    def _learn(self, place: Place, leaf: Leaf) -> None:
        """Configuration of the leaf and of one that it carries; which configurations its samples rest on."""
        for wrong in self._logged.learn(leaf):
            self._problem(place, wrong)
        for one in with_carried(leaf):
            self._use(place, one)
            self.trail.add((place.epoch, place.i), one)
        if self.is_source:
            told = [Imported(place.i, event.wall_ms, event.data) for event in leaf.events if event.kind == IMPORT_EVENT]
            self.imported.setdefault(place.epoch, []).extend(told)

    def _use(self, place: Place, leaf: Leaf) -> None:
        configuration = self._logged.known.get(leaf.cfg) if leaf.samples else None
        if configuration is None or leaf.cfg in self.configurations:
            return
        self.configurations[leaf.cfg] = (place.epoch, place.i)
        for name, fact in facts_of(self.edge_id, configuration):
            if name in self.facts:
                self.facts[name].setdefault(fact, (place.epoch, place.i))

    def _watch(self, place: Place, leaf: Leaf) -> None:
        """Follows each meter's answers over its samples."""
        for one in with_carried(leaf):
            for sample in one.samples:
                for meter, blocks in by_meter(sample).items():
                    if meter in self.frozen:
                        before = self._stretches.get(meter)
                        stretch = self._stretches[meter] = follow(before, sample.slot_ms, blocks)
                        if stretch is None or before is None or stretch.samples <= before.samples:
                            continue
                        if stretch.frozen and self._live(place, leaf, one.cfg, meter, stretch):
                            self._freeze(place, meter, stretch)

    def _live(self, place: Place, leaf: Leaf, cfg: str, meter_id: str, stretch: Stretch) -> bool:
        """Whether the meter showed mains at the end of the stretch."""
        configuration = self._logged.known.get(cfg)
        meter = None if configuration is None else configuration.meter(meter_id)
        points = frozenset() if meter is None else frozenset(live_points(self.edge_id, meter))
        if not points:
            return False
        rows = derive(place, leaf, self._logged.known, points).rows
        return any(row.t_ms == stretch.last_ms and row.quality == Quality.GOOD and row.raw != 0 for row in rows)

    def _freeze(self, place: Place, meter: str, stretch: Stretch) -> None:
        known = self.frozen[meter]
        goes_on = known and stretch.since_ms <= known[-1].after_ms < known[-1].until_ms < stretch.last_ms
        after_ms = known[-1].until_ms if goes_on else stretch.since_ms
        known.append(Frozen(after_ms, stretch.last_ms, place.epoch, place.i))

    def _problem(self, place: Place, text: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(place.edge_id, place.epoch, place.i, text))


def _untrue_text(edge_id: str, meter: Meter, *, is_source: bool) -> str:
    if is_source:
        return f"meter {meter.id!r} passes for measured, and {edge_id} is a source of the roster: nothing of it counts"
    return f"meter {meter.id!r} is {meter.origin}, and {edge_id} is no source of the roster: nothing of it counts"


def facts_of(edge_id: str, configuration: MeteringConfiguration) -> Iterable[tuple[str, Facts]]:
    """Every point that `configuration` describes, by name."""
    interval_ms = configuration.interval_ms
    return (
        (
            point_id(edge_id, meter.id, point.name),
            Facts(point.unit, point.kind, meter.serial, interval_ms * point.every, meter.origin),
        )
        for meter in configuration.meters
        for point in meter.profile.points
    )


def within(sizes: Mapping[int, int], epoch: int, leaf: int) -> bool:
    """Whether a leaf lies before the cut of its epoch; `sizes` by epoch."""
    return leaf < sizes.get(epoch, 0)


def cut_sizes(evidence: EdgeEvidence, until_ms: int) -> tuple[dict[int, int], bool]:
    """The sizes by epoch at which an edge's evidence is cut, and whether it then reaches `until_ms`.

    Epochs count in order up to the first leaf that sampled a slot at or after `until_ms`; later ones are late. A log
    of ingest's own is in no order of time, since files and meters are given one after the other: of it everything
    counts that has a slot before `until_ms`, whenever it was given.
    """
    if evidence.is_source:
        return _sizes_of_source(evidence, until_ms)
    sizes: dict[int, int] = {}
    for epoch in sorted(evidence.slots):
        slots = evidence.slots[epoch]
        reached = next((i for i, slot in enumerate(slots) if slot >= until_ms), None)
        if reached is not None:
            return {**sizes, epoch: reached + 1}, True
        sizes[epoch] = len(slots)
    return sizes, False


def _sizes_of_source(evidence: EdgeEvidence, until_ms: int) -> tuple[dict[int, int], bool]:
    """In each epoch up to the last leaf with a slot before `until_ms`, and to the first that reaches it."""
    sizes: dict[int, int] = {}
    closed = False
    for epoch, slots in sorted(evidence.slots.items()):
        reached = next((i for i, slot in enumerate(slots) if slot >= until_ms), None)
        if reached is None:
            sizes[epoch] = len(slots)
            continue
        closed = True
        firsts = evidence.firsts[epoch]
        last = next((i for i in range(len(firsts) - 1, -1, -1) if firsts[i] < until_ms), reached)
        sizes[epoch] = max(last, reached) + 1
    return sizes, closed
