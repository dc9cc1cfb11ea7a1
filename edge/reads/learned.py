"""What a meter's refusals teach: how long a request may be, what none may cross, what it does not have. Pure.

A request of several groups that is refused (exception 2, illegal data address, or 3, illegal data value) is halved
until the parts are answered, and what made the difference is kept: devices have holes, and block limits that
their manuals do not give (wb-mqtt-serial finds holes so; telegraf#16873 waited 13 months for a limit). A register that
alone is refused is asked again at start and once an hour only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator

import msgspec

from edge.modbus.bus import is_refusal
from hakari.registers.groups import Group
from hakari.wire.configuration import Meter

MAX_EXTRA_READS = 16
MAX_KEPT = 256
MAX_WHAT_CHARS = 2000
ASK_AGAIN_MS = 3_600_000
STOPPED = "stopped"
Place = tuple[str, int, int]


class Refused(msgspec.Struct, frozen=True):
    """Registers [start, end) of `table` that are refused even alone, and by which error.

    A `lasting` one was refused point by point when the meter was commissioned: a longer read that succeeds proves
    nothing, so that only another commissioning lifts it.
    """

    table: str
    start: int
    end: int
    error: str
    lasting: bool = False


class Learned(msgspec.Struct, frozen=True):
    """What is known of one meter beyond its profile. `meter` is `digest_of` it; `max_words` 0 where nothing is known.

    `cuts` are registers before which a request must end; `refused` is by place.
    """

    meter: str = ""
    max_words: int = 0
    cuts: tuple[tuple[str, int], ...] = ()
    refused: tuple[Refused, ...] = ()

    def cuts_before(self, group: Group) -> bool:
        """Whether no request may reach into `group` from before it."""
        return (group.table, group.start) in self.cuts

    def refusal(self, group: Group) -> str:
        """The error with which the meter refuses `group` alone, "" where it does not."""
        return next((one.error for one in self.refused if _place(one) == _place(group)), "")

    def lasts(self, group: Group) -> bool:
        """Whether `group` is not asked at all until the meter is commissioned again."""
        return any(one.lasting for one in self.refused if _place(one) == _place(group))

    def with_cut(self, group: Group) -> Learned:
        """No request reaches into `group` from before it any more."""
        if self.cuts_before(group) or len(self.cuts) >= MAX_KEPT:
            return self
        return msgspec.structs.replace(self, cuts=tuple(sorted({*self.cuts, (group.table, group.start)})))

    def with_limit(self, words: int) -> Learned:
        """No request of more than `words` registers any more."""
        return msgspec.structs.replace(self, max_words=min(words, self.max_words or words))

    def with_refused(self, group: Group, error: str, *, lasting: bool = False) -> Learned:
        """`group` is asked once an hour only, a `lasting` one never."""
        others = self.without(group).refused
        if len(others) >= MAX_KEPT:
            return self
        one = Refused(group.table, group.start, group.end, error, lasting)
        return msgspec.structs.replace(self, refused=tuple(sorted((*others, one), key=_place)))

    def without(self, group: Group) -> Learned:
        """`group` is asked like any other."""
        kept = tuple(one for one in self.refused if _place(one) != _place(group))
        return msgspec.structs.replace(self, refused=kept)


NOTHING = Learned()


def digest_of(meter: Meter) -> str:
    """What changes as soon as another meter, or another profile, may stand there."""
    text = msgspec.json.encode((meter.profile, meter.bus, meter.unit, meter.serial, meter.place))
    return hashlib.sha256(text).hexdigest()


def parse(text: str, meter: Meter) -> Learned:
    """What was kept of this very meter, nothing of another one or where `text` cannot be read."""
    empty = Learned(meter=digest_of(meter))
    try:
        kept = msgspec.json.decode(text, type=Learned) if text else empty
    except msgspec.DecodeError:
        return empty
    return kept if kept.meter == empty.meter else empty


def text_of(learned: Learned) -> str:
    """What is to be kept of it."""
    return msgspec.json.encode(learned).decode()


Search = Generator[tuple[Group, ...], str, Learned]


def search(learned: Learned, refused: tuple[Group, ...], error: str, longest: int, *, answers: bool) -> Search:
    """Yields the parts to read one after the other, is sent the error of each, and returns what is then known.

    `longest` is the longest read that the meter ever answered whole, `answers` whether it answered any in this slot:
    of one that refuses everything nothing is learnt. STOPPED as an error ends the search, to go on in another slot.
    """
    todo = [(refused, error)]
    found, alone, reads = learned, [], 0
    while todo:
        groups, why = todo.pop()
        if len(groups) == 1:
            alone.append((groups[0], why))
            continue
        middle = len(groups) // 2
        halves = groups[:middle], groups[middle:]
        told: list[str] = []
        for half in halves:
            reads += 1
            told.append(STOPPED if reads > MAX_EXTRA_READS else (yield half))
            answers = answers or not told[-1]
            if told[-1] == STOPPED:
                return _with(found.with_cut(halves[1][0]), alone) if answers else learned
            if told[-1] and not is_refusal(told[-1]):
                return _with(found, alone) if answers else learned
        if not any(told):
            found = _joint(found, halves, max(longest, *map(_words, halves)))
        todo += [(half, said) for half, said in zip(halves, told, strict=True) if said]
    return _with(found, alone) if answers else learned


def _with(learned: Learned, alone: list[tuple[Group, str]]) -> Learned:
    for group, error in alone:
        learned = learned.with_refused(group, error)
    return learned


def _joint(learned: Learned, halves: tuple[tuple[Group, ...], tuple[Group, ...]], longest: int) -> Learned:
    """Why two reads are answered and the one of both is not: it is too long, or something lies between them.

    Where every register of it is known to exist and no longer read was ever answered, it was too long.
    """
    left, right = halves
    touches = right[0].start <= max(group.end for group in left)
    if touches and _words(left + right) > longest:
        return learned.with_limit(longest)
    return learned.with_cut(right[0])


def _words(groups: tuple[Group, ...]) -> int:
    return max(group.end for group in groups) - groups[0].start


def news(before: Learned, after: Learned) -> Iterator[str]:
    """What `after` knows and `before` did not, a sentence each, for the log."""
    if after.max_words != before.max_words:
        yield f"it answers at most {after.max_words} registers a request"
    for table, address in after.cuts:
        if (table, address) not in before.cuts:
            yield f"no request is answered that reaches over {table} register {address} from before it"
    known = {_place(one) for one in before.refused}
    for one in after.refused:
        if _place(one) not in known:
            yield f"it refuses {table_text(one)}: {one.error}"
    still = {_place(one) for one in after.refused}
    for one in before.refused:
        if _place(one) not in still:
            yield f"it answers {table_text(one)} again"


def table_text(one: Refused | Group) -> str:
    """Registers for people."""
    last = one.end - 1
    return f"{one.table} register {one.start}" + (f" to {last}" if last > one.start else "")


def _place(one: Refused | Group) -> Place:
    return one.table, one.start, one.end
