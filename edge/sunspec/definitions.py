"""What SunSpec's models hold, as data: one TOML file a model under `models/`, offsets counted from the model's ID."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Annotated, Literal

import msgspec

SUNSPEC_MARK = 0x53756E53
COMMON_MODEL = 1
END_MODEL = 0xFFFF
HEADER_WORDS = 2  # every model begins with its ID and its length L, which does not count these two
MAX_OFFSET = 65_535

Offset = Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET)]
SunSpecType = Literal[
    "int16", "int32", "int64", "uint16", "uint32", "uint64", "acc32", "acc64", "float32", "float64",
    "enum16", "enum32", "bitfield16", "bitfield32", "sunssf", "count", "string",
]  # fmt: skip


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One point of a model: `at` is its offset, `manual` SunSpec's name for it, `scale` the name of its scale point.

    value = register × 10^exponent, or × 10^(value of `scale`). `words` is the length of a string.
    """

    at: Offset
    name: str
    manual: str
    type: SunSpecType
    unit: str = ""
    scale: str | None = None
    exponent: int = 0
    counter: bool = False
    words: int = 0


class Repeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model repeats to its end: `words` registers each from `at` on, offsets of `points` counted in them.

    At `count_at` the device says how many; without it the length alone does.
    """

    at: Offset
    words: Annotated[int, msgspec.Meta(ge=1)]
    count_at: Offset | None = None
    points: list[Item] = []


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model: the `lengths` L that its fixed part may have, and its points."""

    id: Annotated[int, msgspec.Meta(ge=1, lt=END_MODEL)]
    name: str
    lengths: Annotated[list[Offset], msgspec.Meta(min_length=1)]
    points: list[Item] = []
    repeat: Repeat | None = None

    @property
    def floats(self) -> bool:
        """Whether it tells its quantities as float32, whose counters lose resolution as they grow."""
        return any(item.type == "float32" for item in self.points)

    def repeats(self, length: int) -> int | None:
        """How often a model of `length` repeats its repeating part; None when it cannot have that length."""
        if self.repeat is None:
            return 0 if length in self.lengths else None
        rest = length - self.lengths[0]
        return rest // self.repeat.words if rest >= 0 and rest % self.repeat.words == 0 else None


@functools.cache
def definitions() -> Mapping[int, Definition]:
    """Every known model by its ID."""
    folder = files("edge") / "sunspec" / "models"
    read = [
        msgspec.convert(tomllib.loads(entry.read_text(encoding="utf-8")), Definition)
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    ]
    return {model.id: model for model in sorted(read, key=lambda model: model.id)}
