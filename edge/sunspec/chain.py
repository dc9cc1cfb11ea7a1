"""Walks a device's chain of SunSpec models: pure, one read at a time, and no model's layout is ever guessed.

The walk is a generator: it yields the `Ask` that is to be read next and is sent the `Heard` that came of it.
Source: SunSpec Device Information Model Specification: the mark "SunS" at 40000, 50000 or 0, then models of an
ID, a length L and L registers, each at +L+2 of the one before, up to the end model 0xFFFF.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple

from edge.modbus.bus import is_silent
from edge.sunspec.definitions import COMMON_MODEL, END_MODEL, HEADER_WORDS, SUNSPEC_MARK, Definition
from hakari.errors import DataProblem, NotReachable

BASES = (40000, 50000, 0)
MARK_WORDS = 2
MAX_MODELS = 100
MAX_REPEATS = 64
ADDRESS_SPACE = 65_536
NOT_IMPLEMENTED = 0xFFFF


class NotSunSpec(DataProblem):
    """A device answers, but where SunSpec's mark could stand it has something else, or no model that is known."""


class DeviceSilent(NotReachable):
    """A device does not answer, or no longer."""


class Ask(NamedTuple):
    """So many holding `registers` from `address` on."""

    address: int
    registers: int


class Heard(NamedTuple):
    """What came of an `Ask`: its registers, or why there are none, in the words of `edge.modbus.bus.Exchange.error`."""

    words: tuple[int, ...] = ()
    error: str = ""


class Found(NamedTuple):
    """One model of the chain: the address of its ID, its length L, how often it repeats its repeating part.

    `skipped` says why no register of it is read, "" when it is read.
    """

    id: int
    address: int
    length: int
    repeats: int = 0
    skipped: str = ""

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + HEADER_WORDS + self.length


class Chain(NamedTuple):
    """What a device has: the address of its mark, its models in order, what its common model says, by point name.

    `broken` says where the chain broke off before its end model, "" when it did not.
    """

    base: int
    models: tuple[Found, ...]
    common: dict[str, str]
    broken: str = ""


Walk = Generator[Ask, Heard, Chain]


def walk(known: Mapping[int, Definition], bases: Sequence[int] = BASES) -> Walk:
    """The chain of a device whose mark stands at one of `bases`, tried in this order.

    Errors: NotSunSpec without a mark, DeviceSilent when nothing answers or the device falls silent on the way.
    """
    base = yield from _base(bases)
    models: list[Found] = []
    common: dict[str, str] = {}
    address = base + MARK_WORDS
    while True:
        if len(models) >= MAX_MODELS:
            return Chain(base, tuple(models), common, f"it has more than {MAX_MODELS} models, the most that are walked")
        if address + HEADER_WORDS > ADDRESS_SPACE:
            return Chain(base, tuple(models), common, f"it runs beyond register {ADDRESS_SPACE - 1} without an end")
        heard = yield Ask(address, HEADER_WORDS)
        if problem := _unheard(heard, address):
            return Chain(base, tuple(models), common, problem)
        if heard.words[0] == END_MODEL:
            return Chain(base, tuple(models), common)
        found = Found(heard.words[0], address, heard.words[1])
        if problem := _impossible(found):
            return Chain(base, tuple(models), common, problem)
        found = yield from _examined(found, known.get(found.id), models)
        if found.id == COMMON_MODEL and not found.skipped:
            common = yield from _common(found, known[COMMON_MODEL])
        models.append(found)
        address = found.end


def _base(bases: Sequence[int]) -> Generator[Ask, Heard, int]:
    """The first of `bases` where the mark stands."""
    heard: dict[int, Heard] = {}
    for base in bases:
        heard[base] = yield Ask(base, MARK_WORDS)
        if not heard[base].error and _number(heard[base].words) == SUNSPEC_MARK:
            return base
    by_answer: dict[str, list[str]] = {}
    for base, one in heard.items():
        by_answer.setdefault(one.error or f"{_number(one.words):#010x}", []).append(str(base))
    told = "; ".join(f"{', '.join(at)}: {answer}" for answer, at in by_answer.items())
    if all(is_silent(one.error) for one in heard.values()):
        raise DeviceSilent(f"the device does not answer at {told}; check address, unit and cabling")
    raise NotSunSpec(
        f"no SunSpec mark {SUNSPEC_MARK:#010x} at {told}; this device or unit has no SunSpec map, or its manual names"
        " another base: give it with --base"
    )


def _unheard(heard: Heard, address: int) -> str:
    """Why the chain breaks off at `address`, "" when it goes on; DeviceSilent when the device said nothing."""
    if not heard.error:
        return ""
    if is_silent(heard.error):
        raise DeviceSilent(f"the device stops answering at register {address} ({heard.error}); try again")
    return f"it breaks off at register {address}: {heard.error}"


def _impossible(found: Found) -> str:
    """Why there can be no such model, "" when there can."""
    if found.length == 0:
        return f"it breaks off at register {found.address}: model {found.id} says it has a length of 0"
    if found.end > ADDRESS_SPACE:
        return f"it breaks off at register {found.address}: model {found.id} of length {found.length} ends beyond 65535"
    return ""


def _examined(found: Found, model: Definition | None, before: Sequence[Found]) -> Generator[Ask, Heard, Found]:
    """`found` with its repeats, or with the reason why it is skipped."""
    problem = _unusable(found, model, before)
    if problem or model is None:
        return found._replace(skipped=problem)
    repeats = model.repeats(found.length) or 0
    if model.repeat is not None and model.repeat.count_at is not None:
        problem = yield from _miscounted(found, found.address + model.repeat.count_at, repeats)
    return found._replace(skipped=problem) if problem else found._replace(repeats=repeats)


def _unusable(found: Found, model: Definition | None, before: Sequence[Found]) -> str:
    """Why a model is skipped, as far as its ID and length tell; "" when it is read."""
    if model is None:
        return "not a model that hakari reads"
    if any(one.id == found.id and not one.skipped for one in before):
        return "stands in the chain a second time; only the first is read"
    repeats = model.repeats(found.length)
    if repeats is None:
        return _wrong_length(found, model)
    if repeats > MAX_REPEATS and model.repeat is not None and model.repeat.points:
        return f"repeats its registers {repeats} times; at most {MAX_REPEATS} are read"
    return ""


def _miscounted(found: Found, address: int, repeats: int) -> Generator[Ask, Heard, str]:
    """Why the count that a device tells at `address` forbids to read the model, "" when it fits its length."""
    heard = yield Ask(address, 1)
    if problem := _unheard(heard, address):
        return f"does not tell how often it repeats ({problem.removeprefix('it ')})"
    if heard.words[0] in (repeats, NOT_IMPLEMENTED):
        return ""
    return (
        f"says it repeats {heard.words[0]} times, but its length {found.length} has room for {repeats};"
        " its layout is not guessed"
    )


def _wrong_length(found: Found, model: Definition) -> str:
    lengths = " or ".join(str(length) for length in model.lengths)
    more = f" + a multiple of {model.repeat.words}" if model.repeat else ""
    return f"has length {found.length} where its definition has {lengths}{more}; its layout is not guessed"


def _common(found: Found, model: Definition) -> Generator[Ask, Heard, dict[str, str]]:
    """What the strings of the common model say."""
    heard = yield Ask(found.address + HEADER_WORDS, found.length)
    if heard.error:
        _unheard(heard, found.address + HEADER_WORDS)
        return {}
    data = b"".join(word.to_bytes(2, "big") for word in heard.words)
    start = {item.name: 2 * (item.at - HEADER_WORDS) for item in model.points}
    return {item.name: _text(data[start[item.name] : start[item.name] + 2 * item.words]) for item in model.points}


def _text(data: bytes) -> str:
    printable = (chr(byte) if 0x20 <= byte < 0x7F else " " for byte in data.split(b"\0")[0])
    return " ".join("".join(printable).split())


def _number(words: Sequence[int]) -> int:
    return words[0] << 16 | words[1]
