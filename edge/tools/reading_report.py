"""What a read shows: decoded values with when they were read, and every number that unknown words could be. Pure.

Guaranteed: a value always stands with the time at which its words arrived and its age; a read that failed has no
value, never an earlier one and never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple, cast

import msgspec

from edge.modbus.bus import Exchange
from hakari.cli.output import printable, table
from hakari.quality import Quality
from hakari.registers.decode import OUT_OF_RANGE, decode_block, decode_sample, identities
from hakari.registers.groups import asked_points
from hakari.registers.profile import WORDS, Kind, Order, Point, Profile, Table, Type
from hakari.registers.reading import FLOATS, Reading
from hakari.registers.requests import ReadRequest

Doubt = Callable[[str], str]

GUESSED_WORDS = 4
FLOAT_DIGITS = {"f32": 9, "f64": 17}
ORDERS: tuple[tuple[str, Order, Order], ...] = (
    ("ABCD", "high_first", "high_first"),
    ("CDAB", "low_first", "high_first"),
    ("BADC", "high_first", "low_first"),
    ("DCBA", "low_first", "low_first"),
)
GUESSED_TYPES = tuple(name for name in WORDS if name not in ("sunssf", "acc32", "acc64"))


class ReadingReport(msgspec.Struct, frozen=True):
    """One decoded point; `value` is an exact decimal, null when there is none. `words` is what was on the wire.

    `acquired` is when the words arrived (UTC), `age_ms` how long before this report was made.
    """

    point: str
    value: str | None
    unit: str
    quality: str
    reason: str
    acquired: str
    age_ms: int
    round_trip_ms: int
    words: str


class ExchangeReport(msgspec.Struct, frozen=True):
    """One request and its answer in hex: unit and PDU out, PDU back."""

    request: str
    answer: str
    error: str
    acquired: str
    round_trip_ms: int


class ReadReport(msgspec.Struct, frozen=True):
    """One live sample of a meter. `errors` are those of its requests."""

    meter: str
    identity: dict[str, str]
    readings: list[ReadingReport]
    errors: list[str]
    exchanges: list[ExchangeReport]

    @property
    def has_problem(self) -> bool:
        """Whether a request failed, or a value is BAD or out of range."""
        return bool(self.errors) or any(
            one.quality == Quality.BAD.name or one.reason.startswith(OUT_OF_RANGE) for one in self.readings
        )


class Guess(msgspec.Struct, frozen=True):
    """What words are if they are of `type` in that order; `order` is the usual four letters."""

    type: str
    order: str
    word_order: str
    byte_order: str
    value: str


class GuessReport(msgspec.Struct, frozen=True):
    """Words of an unknown meter under every type that makes a number of them."""

    unit: int
    table: str
    address: int
    words: list[str]
    text: str
    guesses: list[Guess]
    acquired: str
    age_ms: int
    round_trip_ms: int
    exchanges: list[ExchangeReport]


class Asked(NamedTuple):
    """One value that a person asks for, without a profile."""

    unit: int
    table: Table
    address: int
    type: Type
    word_order: Order = "high_first"
    byte_order: Order = "high_first"
    exponent: int = 0
    values: int = 1


def profile_of(asked: Asked, words: int = 0) -> Profile:
    """`asked` as a profile of `values` points that follow one another, one request each; `words` of a string."""
    length = words or WORDS[asked.type]
    kind: Kind = "identity" if asked.type == "string" else "gauge"
    points = [
        Point(
            name=f"at_{asked.address + k * length}", address=asked.address + k * length, type=asked.type, kind=kind,
            table=asked.table, word_order=asked.word_order, byte_order=asked.byte_order, exponent=asked.exponent,
            words=words,
        )
        for k in range(asked.values)
    ]  # fmt: skip
    return Profile(id="asked", maker="", model="", source="", standing="excerpt", points=points, separate=True)


def report_of(
    meter: str, profile: Profile, exchanges: Sequence[Exchange], now_ms: int, doubt: Doubt = lambda _: ""
) -> ReadReport:
    """The exchanges that one read of `meter` took, decoded by `profile` as the edge decodes them.

    `doubt` is why a point that reads well does not count, "" where it does; it is then UNCERTAIN, as in the log.
    """
    units = {point.name: point.unit for point in profile.points}
    decoded = decode_sample(profile, meter, [(one.request, one.answer, one.error) for one in exchanges])
    held = [identities(profile, one.request, one.answer) for one in exchanges if not one.error]
    return ReadReport(
        meter=meter,
        identity={name: text for one in held for name, text in one.items()},
        readings=[
            ReadingReport(
                point=reading.point,
                value=None if reading.value is None else format(reading.value, "f"),
                unit=units[reading.point],
                quality=standing.name,
                reason=reason,
                acquired=time_text(exchange.wall_ms),
                age_ms=max(0, now_ms - exchange.wall_ms),
                round_trip_ms=exchange.round_trip_us // 1000,
                words=_words_of(profile, exchange, reading.point),
            )
            for exchange, block in zip(exchanges, decoded, strict=True)
            for reading in block
            for standing, reason in (_standing(reading, doubt(reading.point)),)
        ],
        errors=[f"{_registers(one)}: {one.error}" for one in exchanges if one.error],
        exchanges=[exchange_report(one) for one in exchanges],
    )


def _standing(reading: Reading, doubt: str) -> tuple[Quality, str]:
    doubted = bool(doubt) and reading.quality is Quality.GOOD
    return (Quality.UNCERTAIN, doubt) if doubted else (reading.quality, reading.reason)


def _registers(exchange: Exchange) -> str:
    request = ReadRequest.parse(exchange.request)
    last = request.address + request.count - 1
    span = f"register {request.address}" if request.count == 1 else f"registers {request.address} to {last}"
    return f"{request.table} {span}"


def guesses_of(unit: int, table_: Table, address: int, exchange: Exchange, now_ms: int) -> GuessReport:
    """Everything that the words of a good answer could be."""
    data = exchange.answer[2:]
    guesses = [
        guess
        for type_ in GUESSED_TYPES
        if WORDS[type_] * 2 <= len(data)
        for guess in _guessed(cast(Type, type_), table_, address, exchange)
    ]
    return GuessReport(
        unit=unit,
        table=table_,
        address=address,
        words=_hex_words(data),
        text=printable(data.rstrip(b"\0 ").decode("ascii", "replace")),
        guesses=guesses,
        acquired=time_text(exchange.wall_ms),
        age_ms=max(0, now_ms - exchange.wall_ms),
        round_trip_ms=exchange.round_trip_us // 1000,
        exchanges=[exchange_report(exchange)],
    )


def _guessed(type_: Type, table_: Table, address: int, exchange: Exchange) -> list[Guess]:
    """One guess an order, those of one word without the two that would repeat it."""
    orders = ORDERS if WORDS[type_] > 1 else (ORDERS[0], ORDERS[2])
    found = []
    for letters, word_order, byte_order in orders:
        profile = profile_of(Asked(0, table_, address, type_, word_order, byte_order))
        request = ReadRequest(exchange.request[0], exchange.request[1], address, WORDS[type_])
        answer = bytes((exchange.answer[0], 2 * WORDS[type_])) + exchange.answer[2 : 2 + 2 * WORDS[type_]]
        (reading,) = decode_block(profile, "", request.encode(), answer)
        if reading.value is not None:
            shown = letters if WORDS[type_] > 1 else letters[:2]
            found.append(Guess(type_, shown, word_order, byte_order, format(reading.value, "f")))
    return found


def shown(report: ReadReport, *, raw: bool) -> str:
    """`report` for a person."""
    rows = [
        (one.point, one.value, one.unit, one.quality, one.reason, one.words, one.acquired[11:], f"{one.age_ms} ms",
         f"{one.round_trip_ms} ms")
        for one in report.readings
    ]  # fmt: skip
    lines = [f"{printable(name)}: {printable(held)}" for name, held in report.identity.items()]
    if rows:
        head = ("point", "value", "unit", "quality", "reason", "words", "read at", "age", "took")
        lines.append(table(head, rows, right=(1, 7, 8)))
    lines += [f"request failed: {printable(error)}" for error in report.errors]
    return "\n".join(lines + (shown_exchanges(report.exchanges) if raw else []))


def shown_guesses(report: GuessReport, *, raw: bool) -> str:
    """`report` for a person: types below one another, orders side by side."""
    by_type: dict[str, dict[str, str]] = {}
    for guess in report.guesses:
        by_type.setdefault(guess.type, {})[guess.order] = _short(guess.type, guess.value)
    rows = [(type_, *(_ordered(values, letters) for letters, _, _ in ORDERS)) for type_, values in by_type.items()]
    head = ("type", "ABCD high_first", "CDAB low_first", "BADC bytes swapped", "DCBA both")
    where = f"unit {report.unit}, {report.table} register {report.address} (0x{report.address:04x})"
    when = f"read at {report.acquired[11:]}, age {report.age_ms} ms, took {report.round_trip_ms} ms"
    return "\n".join(
        (
            f"{where}: {' '.join(report.words)}, {when}",
            f"as text: {report.text}" if any(char.isalnum() for char in report.text) else "as text: nothing",
            "",
            table(head, rows, right=(1, 2, 3, 4)),
            *(shown_exchanges(report.exchanges) if raw else []),
        )
    )


def _ordered(values: dict[str, str], letters: str) -> str:
    return (
        values.get(letters) or values.get(letters[:2], "") if letters in ("ABCD", "BADC") else values.get(letters, "")
    )


def _short(type_: str, value: str) -> str:
    """A float as short as tells it from its neighbours; the exact decimal stands in the JSON."""
    return format(Decimal(value), f".{FLOAT_DIGITS[type_]}g") if type_ in FLOATS else value


def exchange_report(exchange: Exchange) -> ExchangeReport:
    """`exchange` in hex."""
    return ExchangeReport(
        request=exchange.request.hex(),
        answer=exchange.answer.hex(),
        error=exchange.error,
        acquired=time_text(exchange.wall_ms),
        round_trip_ms=exchange.round_trip_us // 1000,
    )


def shown_exchanges(exchanges: Sequence[ExchangeReport]) -> list[str]:
    """Requests and answers in hex, for a person."""
    return [
        line
        for one in exchanges
        for line in (
            f"> unit {int(one.request[:2], 16)}: {bytes.fromhex(one.request[2:]).hex(' ')}",
            f"< {_answer_text(one)}",
        )
    ]


def _answer_text(one: ExchangeReport) -> str:
    answer = bytes.fromhex(one.answer).hex(" ") or "(nothing)"
    return f"{answer}  ({printable(one.error)})" if one.error else answer


def time_text(t_ms: int) -> str:
    """UTC with milliseconds, ISO 8601."""
    return datetime.fromtimestamp(t_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _hex_words(data: bytes) -> list[str]:
    return [data[k : k + 2].hex() for k in range(0, len(data), 2)]


def _words_of(profile: Profile, exchange: Exchange, name: str) -> str:
    """The words of one point as they came, "" where none did."""
    if exchange.error:
        return ""
    request = ReadRequest.parse(exchange.request)
    asked = asked_points(profile, request.table, request.address, request.count)
    point = next(one for one in asked if one.name == name)
    start = 2 + 2 * (point.address - request.address)
    return " ".join(_hex_words(exchange.answer[start : start + 2 * point.length]))
