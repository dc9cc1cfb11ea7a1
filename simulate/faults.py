"""Faults on request, between what a meter measures and the wire, so that every meter model has all of them. Pure.

A fault is a function of plant time: the same schedule gives the same run. Only the delay of an answer is machine time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Annotated, ClassVar, NamedTuple

import msgspec

from simulate.plant import Meter, Moment, Name, ms_of, shown
from simulate.readout import Readout

MAX_DELAY_S = 60.0
MAX_VALUE = 1e15
LARGEST_SHOWN = Fraction(10) ** 30  # several spikes on one quantity multiply; a single float still holds this
MAX_SERIAL_CHARS = 32
REPLACED_SUFFIX = "-R"
ALWAYS_MS, NEVER_MS = -(2**62), 2**62
FIRST_MS, LAST_MS = 0, 4_102_444_800_000  # 1970 to 2100

Curve = Callable[[int], Fraction]
Delay = Annotated[float, msgspec.Meta(gt=0, le=MAX_DELAY_S)]
Value = Annotated[float, msgspec.Meta(ge=-MAX_VALUE, le=MAX_VALUE)]
Serial = Annotated[str, msgspec.Meta(pattern=f"^[A-Za-z0-9-]{{1,{MAX_SERIAL_CHARS}}}$")]


class Manner(NamedTuple):
    """How a meter answers at one moment; `exception` 0 for none, `holes` are addresses that it has not."""

    silent: bool = False
    delay_s: float = 0.0
    exception: int = 0
    holes: tuple[range, ...] = ()


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every fault has: a meter by `unit` or `serial` (and `plant` where several have it), and when.

    It lasts while from <= plant time < until; without `from` from the beginning, without `until` for ever.
    """

    unit: Annotated[int, msgspec.Meta(ge=1, le=247)] | None = None
    serial: str = ""
    plant: str = ""
    starts: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = None

    needs_start: ClassVar[bool] = False
    counters_only: ClassVar[bool] = False

    @classmethod
    def kind(cls) -> str:
        """The kind's name as one writes it."""
        return str(cls.__struct_config__.tag)

    @property
    def start_ms(self) -> int:
        """The first moment; before all time without `from`."""
        return ALWAYS_MS if self.starts is None else ms_of(self.starts)

    @property
    def end_ms(self) -> int:
        """The first moment after it; after all time without `until`."""
        return NEVER_MS if self.until is None else ms_of(self.until)

    def at(self, t_ms: int) -> bool:
        """Whether it is there at `t_ms`."""
        return self.start_ms <= t_ms < self.end_ms

    def named(self) -> Sequence[str]:
        """The quantities that alone it falsifies; none: every one that it can."""
        return ()

    def problem(self) -> str:
        """What contradicts itself, "" for nothing."""
        if self.needs_start and self.starts is None:
            return "`from` is missing; give the time at which it begins"
        for key, moment in (("from", self.starts), ("until", self.until)):
            if moment is not None and not FIRST_MS <= ms_of(moment) <= LAST_MS:
                return f"{key} {moment.isoformat()} is not between {shown(FIRST_MS)} and {shown(LAST_MS)}; correct it"
        if self.end_ms <= self.start_ms:
            return f"until {shown(self.end_ms)} is not after from {shown(self.start_ms)}; exchange them"
        return ""

    def manner(self, before: Manner) -> Manner:
        """How the meter answers while this lasts, on top of the faults before."""
        return before

    def falsified(self, truth: Curve, t_ms: int, *, counter: bool) -> Fraction:
        """What the meter shows at `t_ms`, while this lasts, of a quantity that runs as `truth` does."""
        del counter
        return truth(t_ms)

    def serial_shown(self, serial: str) -> str:
        """The serial number that the meter tells while this lasts."""
        return serial


class _Reading(Fault, frozen=True, kw_only=True):
    """A fault of what is read, of all quantities that it can falsify or of the named ones."""

    quantities: list[Name] = []

    def named(self) -> Sequence[str]:
        """See `Fault.named`."""
        return self.quantities


class Silence(Fault, frozen=True, kw_only=True, tag="silence"):
    """Answers nothing at all; the connection stays open and other units answer."""

    def manner(self, before: Manner) -> Manner:
        """See `Fault.manner`."""
        return before._replace(silent=True)


class Exceptions(Fault, frozen=True, kw_only=True, tag="exception"):
    """Answers every read by the Modbus exception `code`: 4 device failure, 6 busy, 11 a gateway's "no answer"."""

    code: Annotated[int, msgspec.Meta(ge=1, le=255)] = 4

    def manner(self, before: Manner) -> Manner:
        """See `Fault.manner`."""
        return before._replace(exception=before.exception or self.code)


class Slow(Fault, frozen=True, kw_only=True, tag="slow"):
    """Answers rightly after `delay_s`; give less than the reader's timeout."""

    delay_s: Delay = 0.2

    def manner(self, before: Manner) -> Manner:
        """See `Fault.manner`."""
        return before._replace(delay_s=max(before.delay_s, self.delay_s))


class Late(Slow, frozen=True, kw_only=True, tag="late"):
    """Answers rightly after `delay_s`; give more than the reader's timeout, so that it has given up by then."""

    delay_s: Delay = 5.0


class Spike(_Reading, frozen=True, kw_only=True, tag="spike"):
    """Shows `factor` times the truth, or `value` in the quantity's own unit (W, Wh, kg); give one of the two."""

    factor: Value | None = None
    value: Value | None = None

    def problem(self) -> str:
        """See `Fault.problem`."""
        if (self.factor is None) == (self.value is None):
            return "give either `factor` or `value`"
        return super().problem()

    def falsified(self, truth: Curve, t_ms: int, *, counter: bool) -> Fraction:
        """See `Fault.falsified`."""
        del counter
        return truth(t_ms) * Fraction(self.factor) if self.factor is not None else Fraction(self.value or 0)


class Stuck(_Reading, frozen=True, kw_only=True, tag="stuck"):
    """Shows on and on what it showed at `from`; the truth runs on and is shown again at the end."""

    needs_start = True

    def falsified(self, truth: Curve, t_ms: int, *, counter: bool) -> Fraction:
        """See `Fault.falsified`."""
        del t_ms, counter
        return truth(self.start_ms)


class Zero(_Reading, frozen=True, kw_only=True, tag="zero"):
    """Counters show zero and are back at the end; with `counts` they count on from zero meanwhile."""

    counts: bool = False
    needs_start = True
    counters_only = True

    def falsified(self, truth: Curve, t_ms: int, *, counter: bool) -> Fraction:
        """See `Fault.falsified`."""
        if not counter:
            return truth(t_ms)
        return truth(t_ms) - truth(self.start_ms) if self.counts else Fraction(0)


class Replaced(Fault, frozen=True, kw_only=True, tag="replaced"):
    """Another meter of that model: `new_serial` (else the old one and "-R"), its counters begin at `start` (Wh, kg)."""

    start: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    new_serial: Serial | None = None
    needs_start = True

    def falsified(self, truth: Curve, t_ms: int, *, counter: bool) -> Fraction:
        """See `Fault.falsified`."""
        return self.start + truth(t_ms) - truth(self.start_ms) if counter else truth(t_ms)

    def serial_shown(self, serial: str) -> str:
        """See `Fault.serial_shown`."""
        return self.new_serial or serial[: MAX_SERIAL_CHARS - len(REPLACED_SUFFIX)] + REPLACED_SUFFIX


class Hole(Fault, frozen=True, kw_only=True, tag="hole"):
    """Has no longer the `count` addresses from `address` on: exception 2 to every read that touches them."""

    address: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    count: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 65536

    def manner(self, before: Manner) -> Manner:
        """See `Fault.manner`."""
        return before._replace(holes=(*before.holes, range(self.address, self.address + self.count)))


AnyFault = Silence | Exceptions | Slow | Late | Spike | Stuck | Zero | Replaced | Hole
KINDS: tuple[type[Fault], ...] = (Silence, Exceptions, Slow, Late, Spike, Stuck, Zero, Replaced, Hole)


def manner_of(faults: Sequence[Fault], t_ms: int) -> Manner:
    """How a meter with these faults answers at `t_ms`."""
    manner = Manner()
    for fault in faults:
        if fault.at(t_ms):
            manner = fault.manner(manner)
    return manner


def disturbed(meter: Meter, faults: Sequence[Fault], t_ms: int) -> Readout:
    """What a meter with these faults shows at `t_ms`; each falsifies what those before it in the schedule left."""
    truth = meter.readout(t_ms)
    return _Disturbed(truth, faults, meter.model.counters) if faults else truth


class _Disturbed(Readout):
    """A readout as the meter shows it."""

    def __init__(self, truth: Readout, faults: Sequence[Fault], counters: Sequence[str]) -> None:
        plate = truth.plate
        for fault in faults:
            if fault.at(truth.t_ms):
                plate = plate._replace(serial=fault.serial_shown(plate.serial))
        super().__init__(truth.source, truth.t_ms, plate, truth.names, truth.offsets)
        self._truth = truth
        self._faults = faults
        self._counters = counters

    def value(self, name: str) -> Fraction:
        return self._shown(name, lambda t_ms: self._truth.at(t_ms).value(name))

    def count(self, name: str, resolution: Fraction, bits: int) -> int:
        first = self.offsets.get(name, 0) * resolution
        counted = self._shown(name, lambda t_ms: first + self._truth.at(t_ms).optional(name, 0))
        return (counted // resolution) % (1 << bits)

    def wobble(self, label: str, middle: float, width: float) -> float:
        """Side values stand still with a meter that is stuck as a whole."""
        at_ms = self.t_ms
        for fault in self._faults:
            if isinstance(fault, Stuck) and fault.at(at_ms) and not fault.named():
                at_ms = fault.start_ms
        return self._truth.at(at_ms).wobble(label, middle, width)

    def _shown(self, name: str, truth: Curve) -> Fraction:
        curve = truth
        for fault in self._faults:
            if not fault.named() or name in fault.named():
                curve = _falsified(fault, curve, counter=name in self._counters)
        return min(max(curve(self.t_ms), -LARGEST_SHOWN), LARGEST_SHOWN)


def _falsified(fault: Fault, truth: Curve, *, counter: bool) -> Curve:
    return lambda t_ms: fault.falsified(truth, t_ms, counter=counter) if fault.at(t_ms) else truth(t_ms)
