"""What a person asks to read, and what it gives: shapes alone, so that the command line loads fast."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hakari.registers.profile import Order, Table, Type


class Wanted(NamedTuple):
    """What the options of one call ask for; None is what was not said."""

    unit: int | None
    address: int | None
    table: Table
    type: Type | None
    word_order: Order | None
    byte_order: Order
    exponent: int
    how_many: int | None
    profile: str | None


class Shown(NamedTuple):
    """One reading done: for programs, for people, and whether something in it is wrong."""

    report: msgspec.Struct
    text: str
    has_problem: bool
