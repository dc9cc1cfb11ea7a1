"""A profile as the TOML file that a person would have written."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hakari.registers.profile import WORDS, Point, Profile

HEAD = ("id", "maker", "model", "source", "standing", "proof", "notes", "max_words")
FIELDS = (
    "name", "address", "type", "kind", "unit", "table", "word_order", "byte_order", "bit", "bit_count", "wraps_at",
    "every", "exponent", "scale_point", "sentinels", "expect", "words", "minimum", "maximum", "manual",
)  # fmt: skip


def toml_of(profile: Profile) -> str:
    """The file that `edge.library.read` reads as this very profile (without `separate` and waits, which it has not)."""
    told = msgspec.structs.asdict(profile)
    defaults = _defaults(Profile)
    lines = [f"{key} = {_value(told[key])}" for key in HEAD if key not in defaults or told[key] != defaults[key]]
    for span in profile.spans:
        lines += ["", "[[spans]]", *(f"{key} = {_value(value)}" for key, value in msgspec.structs.asdict(span).items())]
    for point in profile.points:
        lines += ["", "[[points]]", *_point(point)]
    return "\n".join(lines) + "\n"


def _point(point: Point) -> Iterator[str]:
    told, defaults = msgspec.structs.asdict(point), _defaults(Point)
    for key in FIELDS:
        stated = key == "word_order" and WORDS.get(point.type, 0) > 1
        if key == "sentinels" and point.sentinels:
            digits = 4 * WORDS[point.type]
            yield f"sentinels = [{', '.join(f'0x{sentinel:0{digits}X}' for sentinel in point.sentinels)}]"
        elif stated or key not in defaults or told[key] != defaults[key]:
            yield f"{key} = {_value(told[key])}"


def _defaults(kind: type[Point | Profile]) -> dict[str, object]:
    """What each field of a profile or a point is where nothing is said of it."""
    return {
        field.name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        for field in msgspec.structs.fields(kind)
        if not field.required
    }


def _value(value: object) -> str:
    if not isinstance(value, str):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in escaped) + '"'
