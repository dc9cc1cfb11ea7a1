"""Writes docs/configuration.md from the code: `make docs`. A test holds the page to what this prints.

Found is every class that a room reads a file into: `settings.load(path, Kind, …)` for settings,
`settings.convert(table, Kind, …)` for data files.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import inspect

from hakari.settings import alternatives

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("edge", "ingest", "calc", "api", "simulate")
HEAD = """# Configuration

Written from the code by `make docs`; do not edit.

Every room reads one TOML file of settings. An unknown key is refused with the nearest known one. Relative paths start
at the file's folder. Any key of it can be overridden in the environment: `HAKARI_EDGE__BROKER__PORT=8883` is `port` in
`[broker]` of the edge's file. Data files (meter profiles, methodologies, projects) are TOML too, and nothing overrides
them. Secrets stand in files of their own, which the settings name; a private key's file must have mode 0600.
"""
SETTINGS_CALLS = frozenset({"settings.load", "load"})
DATA_CALLS = frozenset({"settings.convert", "convert"})
SIMPLE: dict[type[inspect.Type], str] = {
    inspect.BoolType: "`true` or `false`",
    inspect.DateType: "date",
    inspect.DateTimeType: "date and time",
    inspect.DecimalType: "decimal, in quotes",
    inspect.AnyType: "anything",
    inspect.NoneType: "",
}


class File(NamedTuple):
    """A kind of file: the room that reads it, the class that it becomes, and whether it is settings or data."""

    room: str
    kind: type[msgspec.Struct]
    is_data: bool


def files() -> list[File]:
    """Every kind of file that a room reads, in the order of the rooms."""
    found: dict[type[msgspec.Struct], File] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for name, is_data in _loaded(ast.parse(path.read_text())):
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                kind = _resolve(module, name)
                found.setdefault(kind, File(room, kind, is_data))
    return sorted(found.values(), key=lambda file: (ROOMS.index(file.room), file.is_data))


def _loaded(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """The class names in calls that read a file, and whether what they read is data."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) >= 2:
            kind, called = ast.unparse(node.args[1]), ast.unparse(node.func)
            if called in SETTINGS_CALLS | DATA_CALLS and kind.rsplit(".", 1)[-1][:1].isupper():
                yield kind, called in DATA_CALLS


def _resolve(module: str, dotted: str) -> type[msgspec.Struct]:
    found: object = importlib.import_module(module)
    for part in dotted.split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, msgspec.Struct)):
        raise TypeError(f"{module}: {dotted} is not a msgspec Struct")
    return found


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for file in files() for line in section(file))]).rstrip() + "\n"


def section(file: File) -> Iterator[str]:
    """One kind of file: its tables, each with its keys."""
    info = inspect.type_info(file.kind)
    data = ", a data file" if file.is_data else ""
    yield f"## {file.room}: `{file.kind.__module__}.{file.kind.__name__}`{data}"
    yield ""
    for path, struct in tables(info, ""):
        if path:
            yield f"### `{path}`"
            yield ""
        yield _prose(struct.cls)
        yield ""
        rows = [field for field in struct.fields if not list(_structs(field.type))]
        if struct.tag_field is not None:
            rows = [_tag(struct), *rows]
        if rows:
            yield "| key | takes | default |"
            yield "|---|---|---|"
            yield from (f"| `{row.encode_name}` | {_cell(takes(row.type))} | {_cell(default(row))} |" for row in rows)
            yield ""


def tables(info: inspect.Type, path: str) -> Iterator[tuple[str, inspect.StructType]]:
    """Every table below `info` with its name as TOML writes it, depth first."""
    for struct in _structs(info):
        yield path, struct
        for field in struct.fields:
            inner = f"{path.strip('[]')}.{field.encode_name}".lstrip(".")
            repeated = any(isinstance(one, inspect.ListType) for one in alternatives(field.type))
            yield from tables(field.type, f"[[{inner}]]" if repeated else f"[{inner}]")


def _tag(struct: inspect.StructType) -> inspect.Field:
    value = inspect.LiteralType((str(struct.tag),))
    return inspect.Field(str(struct.tag_field), str(struct.tag_field), value, required=True)


def _structs(info: inspect.Type) -> Iterator[inspect.StructType]:
    for one in alternatives(info):
        if isinstance(one, inspect.StructType):
            yield one
        elif isinstance(one, inspect.ListType):
            yield from _structs(one.item_type)


def takes(info: inspect.Type) -> str:
    """What a key takes, in words."""
    return " or ".join(word for word in (_takes(one) for one in alternatives(info)) if word)


def _takes(info: inspect.Type) -> str:
    if isinstance(info, inspect.StrType):
        return "text" + _limits(info.min_length, info.max_length, "characters", info.pattern)
    if isinstance(info, inspect.IntType | inspect.FloatType):
        word = "whole number" if isinstance(info, inspect.IntType) else "number"
        return word + _bounds(info)
    if isinstance(info, inspect.LiteralType | inspect.EnumType):
        values = info.values if isinstance(info, inspect.LiteralType) else [each.value for each in info.cls]
        return " or ".join(f"`{value}`" for value in values)
    if isinstance(info, inspect.ListType):
        return f"list of {takes(info.item_type)}" + _limits(info.min_length, info.max_length, "entries", None)
    if isinstance(info, inspect.DictType):
        return f"table of {takes(info.value_type)}"
    return SIMPLE[type(info)]


def _bounds(info: inspect.IntType | inspect.FloatType) -> str:
    signs = (("≥", info.ge), (">", info.gt), ("≤", info.le), ("<", info.lt))
    said = [f"{sign} {value}" for sign, value in signs if value is not None]
    return f", {' and '.join(said)}" if said else ""


def _limits(least: int | None, most: int | None, what: str, pattern: str | None) -> str:
    said = [f"at least {least} {what}"] if least and least > 1 else []
    said += [f"at most {most} {what}"] if most is not None else []
    said += [f"`{pattern}`"] if pattern is not None else []
    return f", {', '.join(said)}" if said else ""


def default(field: inspect.Field) -> str:
    """The value that a key has when it is not given."""
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def _prose(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
