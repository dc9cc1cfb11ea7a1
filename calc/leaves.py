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
from hakari.names import point_id
from hakari.quality import Quality
from hakari.wire.configuration import MeteringConfiguration
from hakari.wire.frozen import Stretch, by_meter, follow, live_points
from hakari.wire.leaf import Carried, Leaf, decode
from hakari.wire.logged import Logged, with_carried
from hakari.wire.rows import Place, Row, derive

MAX_PROBLEMS = 1000
NEVER_MS = -1


class Facts(NamedTuple):
    """What one configuration in force says of a point; `interval_ms` is how often its edge reads."""

    unit: str
    kind: str
    serial: str
    interval_ms: int = 0


class Problem(NamedTuple):
    """A leaf, or a part of it, that could not be read."""

    edge_id: str
    epoch: int
    leaf: int
    text: str

    def __str__(self) -> str:
        return f"leaf {self.edge_id} {self.epoch}/{self.leaf}: {self.text}"


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
    `forks` tells each carried leaf whose (epoch, number) holds another body: the edge's disk was restored once.
    """

    def __init__(self, edge_id: str, points: Collection[str]) -> None:
        self.edge_id = edge_id
        self.points = frozenset(points)
        self.rows: dict[str, list[Row]] = {point: [] for point in sorted(points)}
        self.facts: dict[str, dict[Facts, tuple[int, int]]] = {point: {} for point in self.rows}
        self.configurations: dict[str, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self.slots: dict[int, list[int]] = {}
        self.span: tuple[int, int] | None = None
        self.forks: list[Problem] = []
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
        self._hashes.setdefault(epoch, bytearray()).extend(leaf_hash(body))
        try:
            leaf = decode(body)
            if leaf.carried is not None and not self._counts(place, leaf.carried):
                leaf = msgspec.structs.replace(leaf, carried=None)
            sampled = (sample.slot_ms for sample in leaf.samples)
            slots[-1] = max([slots[-1], *(slot for slot in sampled if not_after_ms is None or slot <= not_after_ms)])
            self._learn(place, leaf)
            derived = derive(place, leaf, self._logged.known, self.points)
            self._watch(place, leaf)
        except DataProblem as error:
            self._problem(place, str(error))
            return
        for refusal in derived.refusals:
            self._problem(place, refusal)
        for row in derived.rows:
            self.rows[row.point].append(row)
            if not_after_ms is None or row.t_ms <= not_after_ms:
                first, last = self.span or (row.t_ms, row.t_ms)
                self.span = (min(first, row.t_ms), max(last, row.t_ms))

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


def facts_of(edge_id: str, configuration: MeteringConfiguration) -> Iterable[tuple[str, Facts]]:
    """Every point that `configuration` describes, by name."""
    interval_ms = configuration.interval_ms
    return (
        (
            point_id(edge_id, meter.id, point.name),
            Facts(point.unit, point.kind, meter.serial, interval_ms * point.every),
        )
        for meter in configuration.meters
        for point in meter.profile.points
    )


def within(sizes: Mapping[int, int], epoch: int, leaf: int) -> bool:
    """Whether a leaf lies before the cut of its epoch; `sizes` by epoch."""
    return leaf < sizes.get(epoch, 0)


def cut_sizes(evidence: EdgeEvidence, until_ms: int) -> tuple[dict[int, int], bool]:
    """The sizes by epoch at which an edge's evidence is cut, and whether it then reaches `until_ms`.

    Epochs count in order up to the first leaf that sampled a slot at or after `until_ms`; later ones are late.
    """
    sizes: dict[int, int] = {}
    for epoch in sorted(evidence.slots):
        slots = evidence.slots[epoch]
        reached = next((i for i, slot in enumerate(slots) if slot >= until_ms), None)
        if reached is not None:
            return {**sizes, epoch: reached + 1}, True
        sizes[epoch] = len(slots)
    return sizes, False
