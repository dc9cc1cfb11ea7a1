"""What one cell of a point list means, or why it cannot be used. Pure; nothing here guesses."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple

from edge.tools.points_words import NO, ORDER_OF, TABLE_OF, TYPE_OF, UNIT_OF, YES, folded
from hakari.errors import BadConfiguration
from hakari.registers.profile import MAX_BLOCK_WORDS, WORDS, Order, Table, Type
from hakari.units import UnitUnknown, unit

MAX_EXPONENT = 18
MAX_DIGITS = 9
HOLDING_BASE, INPUT_BASE = 40_001, 30_001
LONG_HOLDING_BASE, LONG_INPUT_BASE = 400_001, 300_001
ADDRESSES = 65_536

Addressing = Literal["zero-based", "one-based", "modicon"]

_NAME = re.compile(r"[a-z0-9_]{1,40}")
_HEX = re.compile(r"0x([0-9a-f]{1,4})|([0-9a-f]{1,4})h")
_NUMBER = re.compile(rf"(\d{{1,{MAX_DIGITS}}})(?:\.0+)?")
_RATIO = re.compile(r"1\s*/\s*(10{0,18})")
_POWER = re.compile(r"10\s*(?:\^|\*\*)\s*([+-]?\d{1,2})")
_BITS = re.compile(r"\b(bool|bit|boolean|coil)\b|ビット$")


class CellRefused(BadConfiguration):
    """A cell leaves a choice open, or says what hakari cannot read; the text says what is allowed."""


class Place(NamedTuple):
    """Where a point is; `table` is None where its address does not say it."""

    address: int
    table: Table | None


def name_of(text: str, names: Mapping[str, str]) -> str:
    """The point's name; `names` renames what the list writes, exactly."""
    if not text:
        raise CellRefused("is empty; every point needs a name")
    told = names.get(text)
    name = told if told is not None else re.sub(r"[\s\-./]+", "_", unicodedata.normalize("NFKC", text).casefold())
    if not _NAME.fullmatch(name):
        raise CellRefused(
            f"gives the name {name!r}; a name is of a-z, 0-9 and _, at most 40 characters: give another in a column ID"
            f" (識別子), in a file of two columns with --names FILE.csv, or with --rename '{text}=…'"
        )
    return name


def type_of(text: str) -> Type:
    """The register type."""
    found = TYPE_OF.get(folded(text))
    if found is not None:
        return found
    if _BITS.search(folded(text)):
        raise CellRefused("is a single bit; only registers are read, leave the row out")
    near = difflib.get_close_matches(folded(text), TYPE_OF, n=2, cutoff=0.75)
    meant = " or ".join(f"{one} ({TYPE_OF[one]})" for one in near)
    advice = f"did you mean {meant}?" if near else f"known are {', '.join(WORDS)}, string"
    raise CellRefused(f"is not a known type; {advice}")


def place_of(text: str, addressing: Addressing | None) -> Place:
    """The address as on the wire, from 0; what `addressing` does not state must be plain by itself."""
    folded_text = unicodedata.normalize("NFKC", text).casefold().strip()
    as_hex = _HEX.fullmatch(folded_text)
    if as_hex and addressing != "modicon":
        number = int(as_hex[1] or as_hex[2], 16)
        return _within(number - (addressing == "one-based"), None)
    as_number = _NUMBER.fullmatch(folded_text)
    if as_number is None or as_hex:
        raise CellRefused("is no register number; write one such as 72, 0x0048, 40073 or 400073, one a row")
    number = int(as_number[1])
    if addressing == "modicon" or (addressing is None and number >= ADDRESSES):
        return _modicon(number, digits=len(as_number[1]))
    if addressing is None:
        raise CellRefused(
            "may count from 0, from 1, or in 4xxxx/3xxxx notation; state --addressing zero-based, one-based or modicon"
        )
    return _within(number - (addressing == "one-based"), None)


def _modicon(number: int, digits: int) -> Place:
    bases: tuple[tuple[int, Table], ...] = ((HOLDING_BASE, "holding"), (INPUT_BASE, "input"))
    size = 9_999
    if digits > 5:
        bases, size = ((LONG_HOLDING_BASE, "holding"), (LONG_INPUT_BASE, "input")), ADDRESSES
    for base, table in bases:
        if base <= number < base + size:
            return Place(number - base, table)
    raise CellRefused(
        "is no register in 4xxxx/3xxxx notation; allowed are 40001-49999 and 30001-39999, or with six digits"
        " 400001-465536 and 300001-365536 (0xxxx and 1xxxx are bits, which are not read)"
    )


def _within(address: int, table: Table | None) -> Place:
    if not 0 <= address < ADDRESSES:
        raise CellRefused(f"is register {address} on the wire; allowed are 0 to 65535: see --addressing")
    return Place(address, table)


def table_of(text: str, place: Place, default: Table) -> Table:
    """The table: what the function column says, else the address, else `default`."""
    if not text:
        return place.table or default
    found = TABLE_OF.get(folded(text))
    if found is None:
        raise CellRefused("is not a table that is read; allowed are holding (function 3) and input (function 4)")
    if place.table is not None and place.table != found:
        raise CellRefused(f"says {found}, and the address says {place.table}; mend one of them")
    return found


def order_of(text: str, type_: Type, default: Order | None) -> tuple[Order, Order]:
    """Order of the words and of the bytes in them; stated wherever a value has several registers."""
    found = ORDER_OF.get(folded(text)) if text else None
    if found is not None:
        return found
    if text:
        raise CellRefused("is no word order; allowed are ABCD, CDAB, BADC, DCBA, high_first and low_first")
    if WORDS.get(type_, 1) > 1 and default is None:
        raise CellRefused(
            f"is empty, and {type_} takes {WORDS[type_]} registers: say ABCD, CDAB, BADC or DCBA in a column"
            " word order, or state --word-order for all"
        )
    return default if default is not None and WORDS.get(type_, 1) > 1 else "high_first", "high_first"


def exponent_of(gain: str, *, divides: bool) -> int:
    """The power of ten that `gain` is; "" is 1."""
    text = unicodedata.normalize("NFKC", gain).casefold().strip().lstrip("x×*").strip()
    if not text:
        return 0
    ratio, power = _RATIO.fullmatch(text), _POWER.fullmatch(text)
    exponent = 1 - len(ratio[1]) if ratio else int(power[1]) if power else _tens(text)
    exponent = -exponent if divides else exponent
    if abs(exponent) > MAX_EXPONENT:
        raise CellRefused(f"is 10^{exponent}; allowed are 10^-{MAX_EXPONENT} to 10^{MAX_EXPONENT}")
    return exponent


def _tens(text: str) -> int:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    sign, digits, exponent = number.normalize().as_tuple()
    if isinstance(exponent, str) or sign or digits != (1,):
        raise CellRefused(
            "is no exact power of ten, and a value that is credited is never rounded; allowed are such as 0.01, 1/100,"
            " 10, 1e-3: for another factor leave the row out, or take a register of the meter that needs none"
        )
    return exponent


def unit_of(text: str) -> str:
    """The unit exactly as hakari writes it, "" for none."""
    told = unicodedata.normalize("NFKC", text).strip()
    if told in ("", "-"):
        return ""
    told = UNIT_OF.get(re.sub(r"[\s·]+", " ", told.casefold()), told)
    try:
        unit(told)
    except UnitUnknown as error:
        advice = str(error).split("; ", 1)[1]
        joined = f"{advice} Where" if advice.endswith("?") else f"{advice}; where"
        raise CellRefused(f"is no unit that hakari knows: {joined} none fits, empty the cell") from error
    return told


def words_of(text: str, type_: Type) -> int:
    """Registers that the value takes; they have to fit its type."""
    if not text:
        return 0
    found = _NUMBER.fullmatch(unicodedata.normalize("NFKC", text))
    if found is None or not 1 <= int(found[1]) <= MAX_BLOCK_WORDS:
        raise CellRefused(f"is no count of registers; allowed are 1 to {MAX_BLOCK_WORDS}")
    words = int(found[1])
    if type_ != "string" and words != WORDS[type_]:
        raise CellRefused(f"does not fit type {type_}, which takes {WORDS[type_]}; mend one of them")
    return words


def is_counter(text: str) -> bool:
    """Whether the column says that the point counts on."""
    if folded(text) in YES:
        return True
    if folded(text) in NO:
        return False
    raise CellRefused("does not say whether the point is a counter; allowed are yes and no (積算 and 瞬時)")


def no_offset(text: str) -> None:
    """Nothing where the offset is 0: what is added to a value cannot be kept."""
    told = unicodedata.normalize("NFKC", text).strip()
    try:
        zero = not told or told == "-" or Decimal(told) == 0
    except InvalidOperation:
        zero = False
    if not zero:
        raise CellRefused("is added to the value, which a profile cannot say; only 0 is allowed, leave the row out")
