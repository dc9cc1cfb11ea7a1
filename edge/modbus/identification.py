"""Read Device Identification, function 0x2B / 14 (MODBUS Application Protocol V1.1b3, 6.21). Pure but for `identified`.

An answer's PDU: function 0x2B · MEI type 0x0E · code · conformity level · more follows (0 or 0xFF) · next object id ·
number of objects · for each: id · length · value. Basic identification (code 1) has objects 0 to 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from edge.modbus.bus import Exchange
from hakari.clock import PlantClock
from hakari.registers.requests import EXCEPTIONS, MAX_UNIT, RequestMalformed

FUNCTION = 0x2B
MEI_TYPE = 0x0E
BASIC = 1
MORE = 0xFF
HEAD_BYTES = 7
EXCEPTION_BYTES = 2
MAX_OBJECT_ID = 255
MAX_PARTS = 8
MAX_TEXT_CHARS = 100
OBJECTS = {
    0: "vendor", 1: "product_code", 2: "revision", 3: "vendor_url", 4: "product_name", 5: "model_name",
    6: "application_name",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class IdentifyRequest:
    """One read of the basic identification of `unit` from `object_id` on."""

    unit: int
    object_id: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.unit <= MAX_UNIT:
            raise RequestMalformed(f"unit {self.unit} is outside 0..{MAX_UNIT}")
        if not 0 <= self.object_id <= MAX_OBJECT_ID:
            raise RequestMalformed(f"object id {self.object_id} is outside 0..{MAX_OBJECT_ID}")

    @property
    def function(self) -> int:
        """The function code that is sent."""
        return FUNCTION

    def encode(self) -> bytes:
        """Unit and PDU."""
        return bytes((self.unit, FUNCTION, MEI_TYPE, BASIC, self.object_id))


class Identification(NamedTuple):
    """What one answer tells: texts by object id, and the object id to ask on from (None when it is whole)."""

    objects: dict[int, str]
    goes_on_at: int | None


class Identifies(Protocol):
    """A bus, as far as it identifies."""

    async def identify(self, unit: int, clock: PlantClock, object_id: int = 0) -> Exchange:
        """One exchange, errors included."""
        ...


def refusal(answer: bytes) -> str:
    """Why `answer` identifies nothing: an exception or a mismatch, "" when it is whole and well-formed."""
    if not answer:
        return "no answer"
    if answer[0] == FUNCTION | 0x80:
        return _exception(answer)
    if answer[0] != FUNCTION:
        return f"mismatch: function code {answer[0]} instead of {FUNCTION}"
    if len(answer) < HEAD_BYTES or answer[1] != MEI_TYPE:
        return f"mismatch: {answer[:HEAD_BYTES].hex()} is no head of a device identification"
    fits = length_of(answer) == len(answer)
    return "" if fits else f"mismatch: {len(answer)} bytes that do not hold {answer[6]} objects"


def _exception(answer: bytes) -> str:
    if len(answer) != EXCEPTION_BYTES:
        return f"mismatch: exception answer of {len(answer)} bytes instead of {EXCEPTION_BYTES}"
    return f"exception {answer[1]} ({EXCEPTIONS.get(answer[1], 'unknown')})"


def length_of(answer: bytes) -> int | None:
    """Bytes of the answer that begins with these; None while too few are there to know."""
    if len(answer) < HEAD_BYTES:
        return None
    at = HEAD_BYTES
    for _ in range(answer[6]):
        if len(answer) < at + 2:
            return None
        at += 2 + answer[at + 1]
    return at


def parse(answer: bytes) -> Identification:
    """What a PDU tells that `refusal` accepted; nothing for any other. What is no UTF-8 or cannot be shown is "?"."""
    if refusal(answer):
        return Identification({}, None)
    objects: dict[int, str] = {}
    at = HEAD_BYTES
    for _ in range(answer[6]):
        number, length = answer[at], answer[at + 1]
        objects[number] = _text(answer[at + 2 : at + 2 + length])
        at += 2 + length
    return Identification(objects, answer[5] if answer[4] == MORE else None)


def _text(value: bytes) -> str:
    shown = value.decode("utf-8", errors="replace").strip(" \0")
    return "".join(one if one.isprintable() and one != "\ufffd" else "?" for one in shown)[:MAX_TEXT_CHARS]


async def identified(bus: Identifies, unit: int, clock: PlantClock) -> tuple[dict[int, str], list[Exchange]]:
    """Every object that `unit` tells, by id, and the exchanges that it took: at most 8.

    A unit that does not know the function gives no object; the last exchange's `error` says why.
    """
    objects: dict[int, str] = {}
    exchanges: list[Exchange] = []
    following: int | None = 0
    while following is not None and len(exchanges) < MAX_PARTS:
        exchange = await bus.identify(unit, clock, following)
        exchanges.append(exchange)
        found = parse(exchange.answer)
        objects |= found.objects
        at = found.goes_on_at
        following = at if at is not None and at > following else None
    return objects, exchanges
