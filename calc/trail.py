"""What an edge's leaves say of its meters beside readings: what was in force when, and who commissioned what. Pure.

Guaranteed: a point counts as commissioned only through signed events before it that name its meter, its place and the
very profile, and that the latest comparison of it matched, wherever the leaves come from and in whatever order
carried ones stand.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hakari.ledger.result import PointEvidence, Suspension
from hakari.names import point_id
from hakari.period import Period
from hakari.registers.profile_hash import profile_sha256
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.events import COMMISSIONING, COMMISSIONING_POINTS, METER_REPLACED
from hakari.wire.leaf import Event, Leaf

KINDS = frozenset({COMMISSIONING, COMMISSIONING_POINTS, METER_REPLACED})
# A commissioning's event keeps so many characters of the names that matched; what lies behind stands with the points.
MATCHED_CHARS = 2000
UNSEEN = frozenset({"not compared", "no value"})
MAX_SUSPENSIONS = 50

At = tuple[int, int]


class Told(NamedTuple):
    """An event that was first signed as part of leaf `at`; the leaf `held` holds it."""

    at: At
    held: At
    event: Event


class Used(NamedTuple):
    """From leaf `at` on, and the slot `since_ms`, samples were taken under the configuration `sha256`."""

    at: At
    held: At
    since_ms: int
    sha256: str


class Record(NamedTuple):
    """The comparison of one point that matched; `of` is what was compared: (profile's hash, bus, unit, serial)."""

    of: tuple[str, str, str, str]
    wall_ms: int
    by: str
    witness: str
    display: str
    difference: str
    verdict: str
    held: At


class Stand(NamedTuple):
    """What was in force for a point in [since_ms, until_ms); `record` is None where no commissioning says so."""

    since_ms: int
    until_ms: int
    meter: Meter
    sha256: str
    held: At
    record: Record | None


class Clock(NamedTuple):
    """An edge's leaves with samples by their last slot, and the state of the clock that dated each."""

    slots: Sequence[int]
    states: Sequence[str]


END_OF_TIME_MS = 2**62
UNDATED = Clock((), ())


class Trail:
    """What one edge's leaves told, in the order in which they are held."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.used: list[Used] = []
        self._dated: list[tuple[int, str, At]] = []

    def add(self, held: At, leaf: Leaf) -> None:
        """Takes a leaf, or one that the leaf `held` carries, once its configuration is known."""
        at = (leaf.epoch, leaf.i)
        for event in leaf.events:
            if event.kind in KINDS:
                self.told.append(Told(at, held, event))
        if not leaf.samples:
            return
        self._dated.append((leaf.samples[-1].slot_ms, leaf.sync.state, held))
        if not self.used or self.used[-1].sha256 != leaf.cfg or self.used[-1].at > at:
            self.used.append(Used(at, held, leaf.samples[0].slot_ms, leaf.cfg))

    def clock(self, sizes: Mapping[int, int]) -> Clock:
        """How the leaves before the cut were dated."""
        dated = sorted((slot_ms, state) for slot_ms, state, held in self._dated if _within(held, sizes))
        return Clock([slot_ms for slot_ms, _ in dated], [state for _, state in dated])

    def stands(
        self,
        edge_id: str,
        points: Collection[str],
        known: Mapping[str, MeteringConfiguration],
        sizes: Mapping[int, int],
        *,
        in_order: bool = True,
    ) -> dict[str, list[Stand]]:
        """What was in force for each of `points` over time, as far as the leaves before the cut say.

        Where leaves are not `in_order` of time, each configuration was in force for all of it.
        """
        found: dict[str, list[Stand]] = {point: [] for point in points}
        told = sorted((one for one in self.told if _within(one.held, sizes)), key=lambda one: one.at)
        used = sorted(one for one in self.used if _within(one.held, sizes))
        records = _Records()
        next_told = 0
        for k, use in enumerate(used):
            while next_told < len(told) and told[next_told].at <= use.at:
                records.take(told[next_told])
                next_told += 1
            configuration = known.get(use.sha256)
            since_ms = use.since_ms if in_order else 0
            until_ms = used[k + 1].since_ms if in_order and k + 1 < len(used) else END_OF_TIME_MS
            for meter in () if configuration is None else configuration.meters:
                of = _of(meter) if any(point.startswith(f"{edge_id}/{meter.id}/") for point in points) else None
                for name in [] if of is None else [point.name for point in meter.profile.points]:
                    if (stands := found.get(point_id(edge_id, meter.id, name))) is not None and of is not None:
                        record = records.of(meter.id, name, of)
                        stands.append(Stand(since_ms, until_ms, meter, use.sha256, use.held, record))
        return found


def _within(held: At, sizes: Mapping[int, int]) -> bool:
    return held[1] < sizes.get(held[0], 0)


def _of(meter: Meter) -> tuple[str, str, str, str]:
    return (profile_sha256(meter.profile), meter.bus, str(meter.unit), meter.serial)


class _Records:
    """The comparisons that hold after the events taken so far."""

    def __init__(self) -> None:
        self._heads: dict[str, Told] = {}
        self._records: dict[str, dict[str, Record]] = {}

    def of(self, meter: str, point: str, of: tuple[str, str, str, str]) -> Record | None:
        record = self._records.get(meter, {}).get(point)
        return record if record is not None and record.of == of else None

    def take(self, told: Told) -> None:
        data, kind = told.event.data, told.event.kind
        meter = data.get("meter", "")
        records = self._records.setdefault(meter, {})
        if kind == METER_REPLACED:
            records.clear()
        elif kind == COMMISSIONING:
            self._heads[meter] = told
            if data.get("direction", "").startswith("reversed"):
                records.clear()
            for name in data.get("matched", "").split():
                records[name] = _record(told, [])
        elif meter in self._heads:
            self._compare(records, self._heads[meter], told)

    def _compare(self, records: dict[str, Record], head: Told, told: Told) -> None:
        matched = head.event.data.get("matched", "")
        whole, names = len(matched) < MATCHED_CHARS, set(matched.split())
        for key, text in told.event.data.items():
            if not key.startswith("point."):
                continue
            name, cells = key.removeprefix("point."), text.split(" | ")
            verdict = cells[4].split(":")[0] if len(cells) > 4 else ""
            if verdict.startswith("matched") and (name in names or not whole):
                records[name] = _record(head, cells)
            elif verdict not in UNSEEN or (verdict == "no value" and cells[1] != "none"):
                records.pop(name, None)


def _record(head: Told, cells: Sequence[str]) -> Record:
    """A comparison as its events tell; `cells` are register, display, difference, tolerance, verdict, words."""
    data = head.event.data
    of = (data.get("profile_sha256", ""), data.get("bus", ""), data.get("unit", ""), data.get("serial", ""))
    display, difference, _, verdict = cells[1:5] if len(cells) > 4 else ("", "", "", "matched")
    return Record(
        of, head.event.wall_ms, data.get("by", ""), data.get("witness", ""), display, difference,
        verdict.split(":")[0], head.held,
    )  # fmt: skip


def evidence_of_point(
    point: str, stands: Sequence[Stand], clock: Clock, period: Period, reach_ms: int
) -> PointEvidence | None:
    """What readings of `point` in `period` rest on, of which a boundary may lie `reach_ms` before its start.

    None for a point that no configuration describes in that time.
    """
    begin_ms, end_ms = period
    inside = [one for one in stands if one.since_ms <= end_ms and one.until_ms > begin_ms - reach_ms]
    if not inside:
        return None
    last = inside[-1]
    name = point.rsplit("/", 1)[1]
    record, meter = (last.record if name in last.meter.commissioned else None), last.meter
    return PointEvidence(
        point=point,
        profile=meter.profile.id,
        proof=meter.profile.proof,
        identity_proof=meter.identity_proof,
        commissioned_ms=None if record is None else record.wall_ms,
        by="" if record is None else record.by,
        witness="" if record is None else record.witness,
        display="" if record is None else record.display,
        difference="" if record is None else record.difference,
        verdict="" if record is None else record.verdict,
        epoch=None if record is None else record.held[0],
        leaf=None if record is None else record.held[1],
        suspended=list(_suspensions(inside, begin_ms, end_ms))[:MAX_SUSPENSIONS],
        clocks=_states(clock, begin_ms, end_ms),
        unrecorded=next((_unrecorded(name, one) for one in inside if _lacks(name, one)), ""),
    )


def _lacks(name: str, one: Stand) -> bool:
    """Whether readings count because the configuration says so, and no signed commissioning does."""
    constructed = one.meter.profile.proof == "constructed" and not one.meter.suspended
    return constructed and name in one.meter.commissioned and one.record is None


def _unrecorded(name: str, one: Stand) -> str:
    return (
        f"{one.meter.id}/{name} is listed as commissioned from leaf {one.held[0]}/{one.held[1]} on (configuration"
        f" {one.sha256[:12]}), and no signed commissioning before it says so of this meter and profile"
    )


def _suspensions(stands: Iterable[Stand], begin_ms: int, end_ms: int) -> Iterator[Suspension]:
    """The times within the period in which a meter was suspended, those that follow one another as one."""
    open_: Suspension | None = None
    for one in stands:
        why, start_ms, until_ms = one.meter.suspended, max(one.since_ms, begin_ms), min(one.until_ms, end_ms)
        if not why or start_ms >= until_ms:
            continue
        if open_ is not None and (open_.text, open_.end_ms) == (why, start_ms):
            open_ = Suspension(open_.start_ms, until_ms, why)
            continue
        if open_ is not None:
            yield open_
        open_ = Suspension(start_ms, until_ms, why)
    if open_ is not None:
        yield open_


def _states(clock: Clock, begin_ms: int, end_ms: int) -> dict[str, int]:
    """How many leaves whose last slot lies in [begin_ms, end_ms] were dated in each state of the clock."""
    counts = Counter(clock.states[bisect_left(clock.slots, begin_ms) : bisect_left(clock.slots, end_ms + 1)])
    return {state: counts[state] for state in sorted(counts)}
