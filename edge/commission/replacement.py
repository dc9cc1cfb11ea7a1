"""An exchanged meter, explained: what the old one said last, what the new one began at, by whom and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from edge.commission.commission import number
from edge.commission.identity import Fields, Known, Raw, raw_data
from hakari.errors import BadConfiguration, DataProblem, Refused
from hakari.registers.profile_hash import SERIAL
from hakari.wire.configuration import Meter
from hakari.wire.events import METER_REPLACED
from hakari.wire.leaf import Event

MAX_WHY_CHARS = 1000
MAX_NAME_CHARS = 200
MAX_CERTIFICATES = 16


class ReplacementInvalid(BadConfiguration):
    """What is said of an exchanged meter cannot be used."""


class SerialDisagrees(DataProblem):
    """The meter tells another serial than it is said to have."""


class NotExchanged(Refused):
    """The meter is the one that was accepted already."""


class Certificate(NamedTuple):
    """A document by its name and its SHA-256 (hex)."""

    name: str
    sha256: str


class Replacement(msgspec.Struct, frozen=True):
    """What a person says of an exchange; registers as typed, by the counter's name."""

    old_final: dict[str, str]
    new_start: dict[str, str]
    new_serial: str
    why: str
    by: str
    certificates: list[Certificate]


def checked(meter: Meter, old_final: Sequence[str], new_start: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Final and start registers by counter, exact decimals in the point's unit, from words `point=value`.

    ReplacementInvalid for what is no counter of the meter, is negative or stands twice, and where the final
    register of no counter is given.
    """
    final, start = (
        _registers(meter, key, words) for key, words in (("old-final", old_final), ("new-start", new_start))
    )
    if not final and any(point.kind == "counter" for point in meter.profile.points):
        counters = ", ".join(_counters(meter))
        raise ReplacementInvalid(
            f"meter {meter.id}: --old-final is missing; give the old meter's last register of each counter that is"
            f" credited ({counters}), such as --old-final {_counters(meter)[0]}=1234.5"
        )
    return final, start


def _counters(meter: Meter) -> list[str]:
    return [point.name for point in meter.profile.points if point.kind == "counter"]


def _registers(meter: Meter, key: str, words: Sequence[str]) -> dict[str, str]:
    known = {point.name: point.unit for point in meter.profile.points if point.kind == "counter"}
    found: dict[str, str] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in known:
            raise ReplacementInvalid(
                f"--{key} {word!r}: meter {meter.id} has no counter {name!r}; it has {', '.join(known) or 'none'}"
            )
        value = number(text, f"--{key} {word}")
        if value < 0 or name in found:
            raise ReplacementInvalid(f"--{key} {word!r}: a register is 0 or more and given once; correct it")
        found[name] = f"{value:f} {known[name]}".strip()
    return found


def check_serial(meter: Meter, new_serial: str, told: Fields) -> None:
    """Returns when settings, person and meter name one serial.

    ReplacementInvalid while the settings still expect another one, SerialDisagrees where the meter tells another.
    """
    wanted = new_serial or meter.serial
    tells = told.get(SERIAL, "")
    if tells and wanted and tells != wanted:
        raise SerialDisagrees(
            f"meter {meter.id} tells serial {tells!r}, not {wanted!r}; give --new-serial and serial of its [[meter]]"
            " as the meter tells it, or look which meter stands there"
        )
    if wanted != meter.serial:
        raise ReplacementInvalid(
            f"meter {meter.id}: its [[meter]] still has serial = {meter.serial!r}; write serial = {wanted!r} there"
            " first, so that the new meter is the one that is expected"
        )


def check_new(meter: Meter, known: Known | None, told: Fields) -> None:
    """Returns where the meter's serial is another one than that accepted last, or nothing tells; NotExchanged else."""
    if known is None or known.suspended:
        return
    serial, before = told.get(SERIAL, meter.serial), known.accepted.get(SERIAL, known.serial)
    if serial and serial == before:
        raise NotExchanged(
            f"meter {meter.id} with serial {serial!r} is the one accepted already, nothing was exchanged; to end its"
            " commissioning and explain it once more all the same, give --again"
        )


def explained(
    meter: Meter, known: Known | None, told: Fields, raw: Sequence[Raw], said: Replacement, wall_ms: int
) -> tuple[Known, Event]:
    """The note that accepts what the meter tells now and lifts its suspension, and the event that says why."""
    old = known.accepted if known is not None else {}
    data = {
        "meter": meter.id,
        "by": said.by[:MAX_NAME_CHARS],
        "why": said.why[:MAX_WHY_CHARS],
        "old_serial": old.get(SERIAL, known.serial if known is not None else ""),
        "new_serial": said.new_serial or told.get(SERIAL, meter.serial),
        "identity_proof": meter.identity_proof,
        "suspended": known.suspended if known is not None else "",
    }
    data |= _prefixed("old_final", said.old_final) | _prefixed("new_start", said.new_start)
    data |= _prefixed("old", old) | _prefixed("new", told)
    data |= {f"certificate.{k}": f"{one.sha256} {one.name}" for k, one in enumerate(said.certificates)}
    event = Event(METER_REPLACED, wall_ms, {name: text for name, text in data.items() if text} | raw_data(raw))
    return Known(told, serial=meter.serial), event


def _prefixed(prefix: str, told: Mapping[str, str]) -> dict[str, str]:
    return {f"{prefix}.{name}": text for name, text in told.items()}
