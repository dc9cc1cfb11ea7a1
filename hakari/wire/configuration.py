"""The metering configuration that is itself logged: meters with their profiles resolved, without secrets.

The text is what is hashed; leaves carry it in parts before its first use, again in every epoch.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, NamedTuple

import msgspec

from hakari.errors import DataProblem
from hakari.registers.profile import Profile
from hakari.wire.leaf import MAX_PARTS, MAX_SHOWN_CHARS, ConfigurationPart

PART_CHARS = 7000
MAX_TEXT_CHARS = MAX_PARTS * PART_CHARS
MAX_OPEN = 16
UNPROVEN = "profile unproven and point not commissioned"


class ConfigurationMalformed(DataProblem):
    """Logged configuration is not what its hash or its schema says."""


class Meter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One meter on a bus. `serial` is what its nameplate says, `unit` the Modbus unit identifier.

    `commissioned` are the points that a commissioning matched to the meter's display, with this very profile;
    `suspended` says why the readings do not count for now (another identity was read), "" where nothing does;
    `identity_proof` is how a meter that tells no serial is known (a seal's number); `place` is where the bus is, the
    serial device or host:port, so that a meter that is read elsewhere shows. `origin` is how its readings came where no
    edge read them: "received" from another sender, "imported" from a file, "declared" by a person; "" is measured.
    """

    id: str
    bus: str
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)]
    serial: str
    profile: Profile
    commissioned: list[str] = []
    suspended: Annotated[str, msgspec.Meta(max_length=300)] = ""
    identity_proof: Annotated[str, msgspec.Meta(max_length=200)] = ""
    place: Annotated[str, msgspec.Meta(max_length=520)] = ""
    origin: Literal["", "received", "imported", "declared"] = ""

    def doubt(self, point: str) -> str:
        """Why a GOOD reading of `point` does not count, "" where it does."""
        if self.suspended:
            return f"suspended: {self.suspended}"
        return UNPROVEN if self.profile.proof == "constructed" and point not in self.commissioned else ""


class MeteringConfiguration(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What decoding needs to turn blocks into readings, and completeness to know what was expected."""

    v: int
    edge: str
    interval_ms: Annotated[int, msgspec.Meta(ge=100, le=86_400_000)]
    max_lag_ms: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)]
    meters: list[Meter]

    def meter(self, meter_id: str) -> Meter | None:
        """The meter of that id."""
        return next((meter for meter in self.meters if meter.id == meter_id), None)


def text_of(configuration: MeteringConfiguration) -> str:
    """The text to hash and log."""
    return msgspec.json.encode(configuration).decode()


def sha256_of(text: str) -> str:
    """The configuration hash that leaves name (hex)."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse(text: str) -> MeteringConfiguration:
    """The configuration that `text` is; ConfigurationMalformed names the field that is wrong."""
    try:
        return msgspec.json.decode(text.encode(), type=MeteringConfiguration)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigurationMalformed(f"logged configuration cannot be read: {str(error)[:MAX_SHOWN_CHARS]}") from error


def parts_of(text: str) -> list[ConfigurationPart]:
    """`text` in parts that fit a leaf each; ConfigurationMalformed where it is too long for that."""
    if len(text) > MAX_TEXT_CHARS:
        raise ConfigurationMalformed(f"configuration has {len(text)} characters, limit {MAX_TEXT_CHARS}; read less")
    pieces = [text[k : k + PART_CHARS] for k in range(0, len(text), PART_CHARS)]
    digest = sha256_of(text)
    return [ConfigurationPart(sha256=digest, part=k, of=len(pieces), text=piece) for k, piece in enumerate(pieces)]


class _Open(NamedTuple):
    """A configuration of `of` parts that is not whole yet."""

    of: int
    parts: dict[int, str]


class Assembler:
    """Joins parts to configurations; a text counts only if its hash is the one that its parts name.

    At most 16 are open at once: the one that was begun first is forgotten for another, since an edge logs its
    configuration without a pause and again in every epoch.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self.complete: dict[str, MeteringConfiguration] = {}

    def add(self, part: ConfigurationPart) -> MeteringConfiguration | None:
        """The configuration that `part` completed, if any.

        ConfigurationMalformed when the part does not fit those before it, or all of them not their hash; what
        was open under that hash is then forgotten.
        """
        if part.sha256 in self.complete:
            return self.complete[part.sha256]
        collected = self._collected(part)
        if collected is None:
            return None
        text = "".join(collected[k] for k in range(part.of))
        if sha256_of(text) != part.sha256:
            raise ConfigurationMalformed(f"configuration parts do not give their hash {part.sha256}")
        self.complete[part.sha256] = parse(text)
        return self.complete[part.sha256]

    def _collected(self, part: ConfigurationPart) -> dict[int, str] | None:
        """Every part by number once `part` is the last one, None before."""
        seen = self._open.pop(part.sha256, None) or _Open(part.of, {})
        if part.part >= part.of or part.of != seen.of:
            raise ConfigurationMalformed(
                f"configuration part {part.part} of {part.of} does not go with the {seen.of} parts of {part.sha256}"
            )
        seen.parts[part.part] = part.text
        if sum(map(len, seen.parts.values())) > MAX_TEXT_CHARS:
            raise ConfigurationMalformed(f"configuration {part.sha256} has more than {MAX_TEXT_CHARS} characters")
        if len(seen.parts) == part.of:
            return seen.parts
        if len(self._open) >= MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._open[part.sha256] = seen
        return None
