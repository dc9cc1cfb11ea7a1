"""The schema of a meter profile: a data file without logic, one a meter model and interface.

Addresses are 0-based as on the wire; `source` says where they were read and `standing` how sure they are.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9_]{1,40}$")]
Address = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Table = Literal["holding", "input"]
Kind = Literal["counter", "gauge", "scale", "identity"]
Type = Literal[
    "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "sunssf", "acc32", "acc64",
    "bcd16", "bcd32", "bcd48", "bcd64", "m10k32", "m10k48", "m10k64", "string",
]  # fmt: skip
Order = Literal["high_first", "low_first"]
Proof = Literal["", "constructed", "captured"]

MAX_BLOCK_WORDS = 125
MEASURED = ("counter", "gauge")  # the kinds of points that give readings
WORDS: dict[str, int] = {
    "u16": 1, "i16": 1, "sunssf": 1, "u32": 2, "i32": 2, "f32": 2, "acc32": 2, "u64": 4, "i64": 4, "f64": 4, "acc64": 4,
    "bcd16": 1, "bcd32": 2, "bcd48": 3, "bcd64": 4, "m10k32": 2, "m10k48": 3, "m10k64": 4,
}  # fmt: skip
MAX_EVERY = 86_400
MAX_WAIT_MS = 60_000


class Point(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One quantity of a meter.

    value = number in the register × 10^exponent, the exponent being `exponent` or, where `scale_point`
    names one, that register's value in the same answer. `sentinels` are bit patterns that mean "not
    available", of a bit field patterns of its bits alone. `expect` is what an identity point must hold. `words` is
    the length of a string.

    `word_order` is that of the registers of one value, `byte_order` that inside each register. Of a bit field only
    `bit_count` bits from bit `bit` on (0 is the lowest) are the number. `wraps_at` is the count at which a counter
    starts again from 0 where that is less than its type allows. It is stated for people: a fall there is not joined,
    it counts as a reset, and what was counted across it is not credited. The point is read in every `every`-th slot.
    bcd: a decimal digit in every four bits. m10k: 0 to 9999 in every register.
    """

    name: Name
    address: Address
    type: Type
    kind: Kind
    unit: Annotated[str, msgspec.Meta(max_length=20)] = ""
    table: Table = "holding"
    word_order: Order = "high_first"
    byte_order: Order = "high_first"
    bit: Annotated[int, msgspec.Meta(ge=0, le=63)] = 0
    bit_count: Annotated[int, msgspec.Meta(ge=0, le=63)] = 0
    wraps_at: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    every: Annotated[int, msgspec.Meta(ge=1, le=MAX_EVERY)] = 1
    exponent: Annotated[int, msgspec.Meta(ge=-18, le=18)] = 0
    scale_point: Name | None = None
    sentinels: list[int] = []
    expect: str | None = None
    words: Annotated[int, msgspec.Meta(ge=0, le=MAX_BLOCK_WORDS)] = 0
    minimum: str | None = None
    maximum: str | None = None
    manual: str = ""

    @property
    def length(self) -> int:
        """Registers that the point occupies."""
        return self.words if self.type == "string" else WORDS[self.type]


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Registers known to be backed without a hole, so that one request may read across them."""

    table: Table
    start: Address
    count: Annotated[int, msgspec.Meta(ge=1, le=65536)]


class Profile(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A meter model on one interface. Refusals are made by `hakari.registers.check`.

    `separate` is for meters that answer each address with a value of its own, so that the registers of two
    points overlap: every point is then read by a request of its own, and an answer gives that point only.
    `proof` says where the bytes of the profile's case come from: captured from a meter, or constructed by hand from
    the source. Readings of a profile whose case was constructed are UNCERTAIN until a commissioning matched them to
    the meter's display; "" is what configurations say that were logged before there was a proof.
    `connect_delay_ms` is waited after connecting, `request_gap_ms` between two requests to the meter; it answers
    within `answer_ms` (0: not known).
    """

    id: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]{1,60}$")]
    maker: str
    model: str
    source: str
    standing: Literal["two-sources", "one-source", "excerpt"]
    points: list[Point]
    spans: list[Span] = []
    max_words: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOCK_WORDS)] = MAX_BLOCK_WORDS
    notes: str = ""
    separate: bool = False
    proof: Proof = ""
    connect_delay_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_WAIT_MS)] = 0
    request_gap_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_WAIT_MS)] = 0
    answer_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_WAIT_MS)] = 0
