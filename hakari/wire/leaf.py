"""The leaf: the exact bytes that an edge signs, one JSON object of integers and strings.

Guaranteed: `decode` accepts a body only if encoding the result gives the same bytes, so a body has one
reading: no duplicate key, unknown key, float, NaN or stray white space survives. Times are UTC
milliseconds; `mono_ms` counts on the clock of one boot.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

import msgspec

from hakari.errors import DataProblem

VERSION = 1
MAX_LEAF_BYTES = 40 * 1024
MAX_CARRIER_BYTES = 64 * 1024
MAX_SHOWN_CHARS = 200
MAX_PARTS = 1000
GIVEN_BOOT = "given-0000000000"

Ms = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Name = Annotated[str, msgspec.Meta(max_length=64)]
Text = Annotated[str, msgspec.Meta(max_length=2000)]


class LeafMalformed(DataProblem):
    """A body is not a leaf of a known version in its one form."""


class Block(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One exchange on the meter's bus as the wire said it.

    `request` is unit + request PDU in hex, `answer` the answer PDU in hex (empty when there was none),
    `error` why there is no usable answer ("" when there is one), `wall_ms` when the answer arrived,
    `meter_time_s` the meter's own interval time where it has one.
    """

    meter: Name
    protocol: Name
    request: Annotated[str, msgspec.Meta(max_length=64)]
    wall_ms: Ms
    round_trip_us: Count
    answer: Annotated[str, msgspec.Meta(max_length=520)] = ""
    error: Annotated[str, msgspec.Meta(max_length=200)] = ""
    meter_time_s: Count | None = None


class Given(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One value as a sender, a file or a person gave it, in ingest's own log: no register was read.

    `value` is the decimal number exactly as it was given, in the unit of the configuration's point.
    """

    meter: Name
    point: Name
    value: Annotated[str, msgspec.Meta(max_length=60)]


class Sample(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """All blocks read for one wall-clock slot; (edge, boot, mono_ms, block) identifies each reading.

    In ingest's own log: the values `given` for the time `slot_ms`, whose identity is (point, slot): `boot` is
    GIVEN_BOOT and `mono_ms` the slot, so that a value given twice counts once.
    """

    slot_ms: Ms
    mono_ms: Count
    blocks: list[Block]
    given: list[Given] = []


class Event(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Something that is not a reading: start, stop, clock step, meter replacement, buffer state."""

    kind: Name
    wall_ms: Ms
    data: dict[Name, Text] = {}


class Sync(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """State of the clock when the leaf was cut: synchronised, unsynchronised or lockstep."""

    state: Name
    offset_ms: Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] = 0


class ConfigurationPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Part `part` of `of` of the configuration text whose SHA-256 (hex) is `sha256`."""

    sha256: Annotated[str, msgspec.Meta(min_length=64, max_length=64)]
    part: Annotated[int, msgspec.Meta(ge=0, lt=MAX_PARTS)]
    of: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTS)]
    text: str


class Carried(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A leaf of an earlier epoch, kept byte for byte with the (epoch, i) that it first had."""

    epoch: Count
    i: Count
    body: str

    @classmethod
    def of(cls, epoch: int, i: int, body: bytes) -> Carried:
        """`body` ready to be carried; a carrier is unwrapped, so that carrying never nests."""
        inner = decode(body).carried
        if inner is not None:
            return inner
        return cls(epoch=epoch, i=i, body=base64.b64encode(body).decode())

    def bytes(self) -> bytes:
        """The carried body."""
        try:
            return base64.b64decode(self.body, validate=True)
        except binascii.Error as error:
            raise LeafMalformed(f"carried leaf {self.epoch}/{self.i} is not base64: {error}") from error


class Leaf(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One batch of one edge; leaf number `i` is its sequence number in `epoch`.

    `cfg` is the SHA-256 (hex) of the configuration in force, `sw` the software, `salt` 16 random bytes in
    base64, `cites` the stored mark because of which this epoch was opened.
    """

    v: int
    edge: Name
    epoch: Count
    i: Count
    salt: Annotated[str, msgspec.Meta(min_length=24, max_length=24)]
    boot: Annotated[str, msgspec.Meta(min_length=16, max_length=16)]
    mono_ms: Count
    wall_ms: Ms
    sync: Sync
    cfg: Annotated[str, msgspec.Meta(max_length=64)]
    sw: Name
    samples: list[Sample] = []
    events: list[Event] = []
    configuration: ConfigurationPart | None = None
    carried: Carried | None = None
    cites: Annotated[str, msgspec.Meta(max_length=2000)] = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Leaf)


def encode(leaf: Leaf) -> bytes:
    """The bytes to hash and sign; LeafMalformed when they exceed the limit of their kind."""
    body = _encoder.encode(leaf)
    limit = MAX_CARRIER_BYTES if leaf.carried is not None else MAX_LEAF_BYTES
    if len(body) > limit:
        raise LeafMalformed(f"leaf {leaf.epoch}/{leaf.i} has {len(body)} bytes, limit {limit}; cut the batch")
    return body


def decode(body: bytes) -> Leaf:
    """The leaf that `body` is; LeafMalformed names what is wrong."""
    if len(body) > MAX_CARRIER_BYTES:
        raise LeafMalformed(f"leaf body has {len(body)} bytes, limit {MAX_CARRIER_BYTES}")
    try:
        leaf = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LeafMalformed(f"leaf body is not a leaf: {str(error)[:MAX_SHOWN_CHARS]}") from error
    if leaf.v != VERSION:
        raise LeafMalformed(f"leaf version {leaf.v} is not known, known is {VERSION}; update hakari")
    if encode(leaf) != body:
        raise LeafMalformed(f"leaf {leaf.epoch}/{leaf.i} is not in its one form (repeated key or white space)")
    return leaf
