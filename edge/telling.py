"""What the edge's process log says once and not in every slot: slots skipped, lines closed, meters in trouble."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from edge.modbus.bus import NOT_TRIED, is_closed, is_refusal, is_untried
from edge.reads.sampler import NOT_ASKED, slots_skipped
from hakari.clock import PlantTime
from hakari.registers.decode import decoder_of
from hakari.registers.groups import asked_points
from hakari.registers.profile_hash import SERIAL
from hakari.registers.requests import ReadRequest
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.frozen import Stretch, by_meter, follow
from hakari.wire.leaf import Block, Sample

MAX_NAMES = 8
TYPED_WRONG = "see whether serial in its [[meter]] stands there as on the nameplate"
OTHER_PROFILE = "see whether its profile fits this model"

_log = logging.getLogger("hakari.edge")


class Telling:
    """What was said already, and so is not said again until it changes."""

    def __init__(self) -> None:
        self._skipped = 0
        self._silent: set[str] = set()
        self._stretches: dict[str, Stretch | None] = {}
        self._closed: set[str] = set()
        self._refused: dict[str, list[str]] = {}
        self._strangers: set[str] = set()
        self._suspended: dict[str, str] = {}

    def pace(self, began: PlantTime, ended: PlantTime, interval_s: int, max_lag_s: int) -> None:
        """Says once that samples take so long that slots are skipped, and at the end how many were."""
        took_ms = ended.mono_ms - began.mono_ms
        skipped = slots_skipped(began.wall_ms, took_ms, interval_s * 1000, max_lag_s * 1000)
        if skipped and not self._skipped:
            _log.warning(
                "a sample took %.1f s, longer than the interval of %d s: slots are skipped;"
                " see which meter answers slowly, or lengthen interval_s",
                took_ms / 1000,
                interval_s,
            )
        if self._skipped and not skipped:
            _log.info("samples keep the interval of %d s again; %d slots were skipped", interval_s, self._skipped)
            self._skipped = 0
        self._skipped += skipped

    def sample(self, sample: Sample, configuration: MeteringConfiguration) -> None:
        """Says what a sample, read by `configuration`, shows of its lines and meters."""
        self.suspensions(configuration)
        found = by_meter(sample)
        lines: dict[str, list[Meter]] = {}
        for meter in configuration.meters:
            if meter.id in found:
                lines.setdefault(meter.bus, []).append(meter)
        for bus, meters in lines.items():
            self._line(bus, meters, found)
            for meter in meters:
                self._meter(meter, found[meter.id])
        self._frozen(sample.slot_ms, found)

    def suspensions(self, configuration: MeteringConfiguration) -> None:
        """Says of each meter that does not count why, once in a process; also what was said before it started."""
        for meter in configuration.meters:
            before = self._suspended.get(meter.id, "")
            self._suspended[meter.id] = meter.suspended
            if meter.suspended and meter.suspended != before:
                _log.warning("meter %s is suspended, its readings do not count: %s", meter.id, meter.suspended)
            elif before and not meter.suspended:
                _log.info("meter %s is no longer suspended", meter.id)

    def _line(self, bus: str, meters: Sequence[Meter], found: Mapping[str, Sequence[Block]]) -> None:
        """Says once that meters were not asked for a reason that is not theirs, and once that all are asked again."""
        why = next((reason for meter in meters if (reason := self._not_its_own(meter.id, found[meter.id]))), "")
        if why and bus not in self._closed:
            _log.warning("bus %s: %s; meters on it are not read", bus, why)
            self._closed.add(bus)
        elif not why and bus in self._closed:
            _log.info("bus %s: its meters are asked again", bus)
            self._closed.discard(bus)

    def _not_its_own(self, meter: str, blocks: Sequence[Block]) -> str:
        """Why nothing of the meter was read where it is not to blame, "" where something was, or it is."""
        errors = [block.error for block in blocks]
        closed = next((one for one in errors if is_closed(one)), "")
        if not all(errors) or not (closed or all(map(is_untried, errors))):
            return ""
        reason = closed or errors[0].removeprefix(NOT_TRIED)
        return "" if meter in self._silent and not is_closed(reason) else reason

    def _meter(self, meter: Meter, blocks: Sequence[Block]) -> None:
        """Says once that a meter stopped to answer, refuses counters or is another one; each error is in the leaf."""
        if all(block.error for block in blocks):
            own = [one.error for one in blocks if not is_untried(one.error) and not one.error.startswith(NOT_ASKED)]
            if own and not is_closed(own[0]) and meter.id not in self._silent:
                _log.warning("meter %s answers nothing: %s", meter.id, own[0])
                self._silent.add(meter.id)
            return
        self._refusals(meter, blocks)
        if meter.id in self._silent and not self._refused.get(meter.id):
            _log.info("meter %s answers again", meter.id)
            self._silent.discard(meter.id)
        self._identity(meter, blocks)

    def _refusals(self, meter: Meter, blocks: Sequence[Block]) -> None:
        """Says once which counters a meter refuses, with what else it refuses, and once that it answers them again."""
        before = self._refused.get(meter.id, [])
        refused = [one for one in blocks if is_refusal(one.error) or one.error.startswith(NOT_ASKED)]
        if not refused and not before:
            return
        answered = _points(meter, [one for one in blocks if not one.error])
        names = _points(meter, refused) - answered
        points = [point for point in meter.profile.points if point.name in names]
        counters = [point.name for point in points if point.kind == "counter"]
        if any(name not in before for name in counters):
            others = [point.name for point in points if point.kind == "gauge"]
            listed = ", ".join([*counters, *others][:MAX_NAMES]) + (" …" if len(points) > MAX_NAMES else "")
            _log.warning("meter %s refuses the points %s: their readings are BAD, nothing is credited from them;"
                         " see whether the profile fits its firmware", meter.id, listed)  # fmt: skip
        back = [name for name in before if name in answered]
        if back and meter.id not in self._silent:
            _log.info("meter %s answers %s again", meter.id, ", ".join(back[:MAX_NAMES]))
        self._refused[meter.id] = [*(name for name in before if name not in (*back, *counters)), *counters]

    def _identity(self, meter: Meter, blocks: Sequence[Block]) -> None:
        """Says once that another meter answers, the likelier cause first, and once that it is the right one."""
        why = next((said for block in blocks if not block.error and (said := _mismatch(meter, block))), "")
        if why and meter.id not in self._strangers:
            cause = TYPED_WRONG if f": {SERIAL} holds" in why else OTHER_PROFILE
            _log.warning("meter %s: every value is BAD, %s; %s; if it does, another meter was put there:"
                         " hakari edge replace-meter explains it", meter.id, why, cause)  # fmt: skip
            self._strangers.add(meter.id)
        elif not why and meter.id in self._strangers:
            _log.info("meter %s is again the one that is expected", meter.id)
            self._strangers.discard(meter.id)

    def _frozen(self, slot_ms: int, found: Mapping[str, Sequence[Block]]) -> None:
        """Says once that a meter repeats itself word for word, and once that it no longer does."""
        for meter, blocks in found.items():
            before = self._stretches.get(meter)
            stretch = self._stretches[meter] = follow(before, slot_ms, blocks)
            was, is_ = before is not None and before.frozen, stretch is not None and stretch.frozen
            if is_ and not was and stretch is not None:
                minutes = (stretch.last_ms - stretch.since_ms) // 60_000
                _log.warning("meter %s has answered the same words for %d min; see whether it is stuck", meter, minutes)
            if was and not is_:
                _log.info("meter %s no longer answers the same words", meter)

    def end(self) -> None:
        """Says what nothing will change any more."""
        if self._skipped:
            _log.warning("%d slots were skipped up to the end because samples took too long", self._skipped)


def _mismatch(meter: Meter, block: Block) -> str:
    window = decoder_of(meter.profile).window(bytes.fromhex(block.request))
    return window.mismatch(bytes.fromhex(block.answer))


def _points(meter: Meter, blocks: Sequence[Block]) -> frozenset[str]:
    """The points that these requests ask for."""
    requests = [ReadRequest.parse(bytes.fromhex(block.request)) for block in blocks]
    return frozenset(
        point.name for one in requests for point in asked_points(meter.profile, one.table, one.address, one.count)
    )
