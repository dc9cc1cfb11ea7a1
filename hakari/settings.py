"""Settings of a room: one TOML file and `HAKARI_<ROOM>__…` overrides become one frozen, validated object.

An unknown key is refused with the nearest known one; every refusal is one sentence that names the file,
the key as `[table].key` (`[meters#2].unit` is the second entry of `[[meters]]`) and what to do.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar, cast

import msgspec
from msgspec import inspect

from hakari.errors import BadConfiguration
from hakari.smallfile import TooLarge, read_bytes

MAX_FILE_BYTES = 1024 * 1024
MAX_SHOWN_CHARS = 80
MAX_LINE_CHARS = 4096
MAX_KEY_DOTS = 8
_AT = re.compile(r" - at `(?:key in )?\$?([^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = re.compile(rf"(?:^|[\[{{,])[ \t]*{_PART}(?:[ \t]*\.[ \t]*{_PART}){{{MAX_KEY_DOTS + 1}}}")
_SECRET = re.compile(r"password|passphrase|secret|token|private", re.IGNORECASE)
_TWICE = ("Cannot overwrite a value", "Cannot declare", "Duplicate inline table key", "Cannot mutate")

T = TypeVar("T", bound=msgspec.Struct)
Table = dict[str, object]
Steps = tuple[str | int, ...]


class SettingsRefused(BadConfiguration):
    """A settings file or an override cannot be used; nothing was started with it."""


def load(path: Path, kind: type[T], room: str, environ: Mapping[str, str]) -> T:
    """The settings in the TOML file `path`, overridden by `HAKARI_<ROOM>__SECTION__KEY` in `environ`.

    Guaranteed: every key is known to `kind` and every value has its type and stays within its limits.
    An override's value is text where the key takes text, else it is read as a TOML value.
    Errors: SettingsRefused.
    """
    table = parse(_text_of(path), str(path))
    info = inspect.type_info(kind)
    for name in sorted(environ):
        if name.startswith(f"HAKARI_{room.upper()}__"):
            _override(table, cast("inspect.StructType", info), name, environ[name])
    return convert(table, kind, str(path))


def convert(table: Table, kind: type[T], where: str) -> T:
    """`table`, as `parse` gave it, as a `kind`; SettingsRefused names `where`, the key and what is wrong."""
    _check_known(table, inspect.type_info(kind), (), where)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise SettingsRefused(f"{where}: {_sentence(str(error), table)}") from error


def beside(path: Path, value: str) -> Path:
    """`value` as a path, a relative one against the folder of the settings file `path`."""
    return within(path.parent, value)


def within(folder: Path, value: str) -> Path:
    """`value` as a path, a relative one against `folder`; `~` is the user's home."""
    return folder / Path(value).expanduser()


def parse(text: str, where: str) -> Table:
    """The TOML tables in `text`; SettingsRefused names `where`, the line and what is wrong."""
    _check_lines(text, where)
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise SettingsRefused(f"{where}: values are nested too deeply; flatten them") from error
    except ValueError as error:
        reason = str(error)
        if reason.startswith(_TWICE):
            raise SettingsRefused(f"{where}: a key or table is given twice{_line(reason, text)}; keep one") from error
        raise SettingsRefused(f"{where}: not valid TOML: {reason}; mend that line") from error
    if not table:
        raise SettingsRefused(f"{where}: the file is empty; write the settings into it (docs/configuration.md)")
    return table


def _check_lines(text: str, where: str) -> None:
    """Refuses what takes the parser time that grows with the square of the text: long lines and keys of many parts."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE_CHARS:
            raise SettingsRefused(
                f"{where}: line {number} has {len(line)} characters, limit {MAX_LINE_CHARS}; write it on several lines"
            )
        if line.count(".") > MAX_KEY_DOTS and _DOTTED.search(line):
            raise SettingsRefused(
                f"{where}: line {number} has a key with more than {MAX_KEY_DOTS} dots; no key here has so many"
            )


def alternatives(info: inspect.Type) -> Iterator[inspect.Type]:
    """The alternatives of a type without their wrappers."""
    if isinstance(info, inspect.Metadata):
        yield from alternatives(info.type)
    elif isinstance(info, inspect.UnionType):
        for one in info.types:
            yield from alternatives(one)
    else:
        yield info


def _text_of(path: Path) -> str:
    if path.is_dir():
        raise SettingsRefused(f"{path}: is a folder; name the TOML file inside it")
    try:
        content = read_bytes(path, MAX_FILE_BYTES)
    except TooLarge as error:
        raise SettingsRefused(f"{path}: is larger than {MAX_FILE_BYTES} bytes; this is not a settings file") from error
    except OSError as error:
        raise SettingsRefused(f"{path}: cannot be read ({error.strerror}); check the path given") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SettingsRefused(f"{path}: is not UTF-8 (line {line}); save it as UTF-8") from error


def _line(reason: str, text: str) -> str:
    found = re.search(r"line (\d+)", reason)
    if found is None:
        return ""
    number = int(found[1])
    shown = text.splitlines()[number - 1].split("=")[0].strip()[:MAX_SHOWN_CHARS]
    return f" on line {number} ({shown})"


def _override(table: Table, info: inspect.StructType, name: str, value: str) -> None:
    """Puts one environment variable's value into `table`, making the tables on its way."""
    steps = [step.lower() for step in name.split("__")[1:]]
    kind: inspect.Type = info
    for depth, step in enumerate(steps):
        fields = _fields(kind)
        if fields is None or step not in fields:
            raise SettingsRefused(f"environment variable {name}: {_unknown(step, tuple(steps[:depth]), fields or {})}")
        kind = fields[step]
    for step in steps[:-1]:
        inner = table.setdefault(step, {})
        if not isinstance(inner, dict):
            raise SettingsRefused(f"environment variable {name}: {step} is not a table in the file; mend the file")
        table = inner
    table[steps[-1]] = value if _takes_text(kind) else _toml_value(name, value)


def _toml_value(name: str, value: str) -> object:
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError) as error:
        raise SettingsRefused(f"environment variable {name} is not a TOML value; write it as in the file") from error


def _takes_text(info: inspect.Type) -> bool:
    textual = (inspect.StrType, inspect.DecimalType, inspect.EnumType)
    return any(
        isinstance(one, textual) or (isinstance(one, inspect.LiteralType) and isinstance(one.values[0], str))
        for one in alternatives(info)
    )


def _fields(info: inspect.Type) -> dict[str, inspect.Type] | None:
    """The keys that a table of this type knows, None where any key goes."""
    structs = [one for one in alternatives(info) if isinstance(one, inspect.StructType)]
    if not structs:
        return None
    known = {field.encode_name: field.type for one in structs for field in one.fields}
    return known | {one.tag_field: inspect.AnyType() for one in structs if one.tag_field is not None}


def _check_known(value: object, info: inspect.Type, steps: Steps, where: str) -> None:
    """Refuses unknown keys and numbers that are not finite, at any depth."""
    if isinstance(value, dict):
        fields = _fields(info)
        values = next(
            (one.value_type for one in alternatives(info) if isinstance(one, inspect.DictType)), inspect.AnyType()
        )
        for key, inner in value.items():
            if fields is not None and key not in fields:
                raise SettingsRefused(f"{where}: {_unknown(key, steps, fields)}")
            _check_known(inner, values if fields is None else fields[key], (*steps, key), where)
    elif isinstance(value, list):
        lists = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)
        item = next((one.item_type for one in alternatives(info) if isinstance(one, lists)), inspect.AnyType())
        for index, inner in enumerate(value):
            _check_known(inner, item, (*steps, index), where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise SettingsRefused(f"{where}: {shown_path(steps)} is {value}; give a finite number")


def _unknown(key: str, steps: Steps, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    advice = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known)) or 'nothing'}"
    return f"{shown_path((*steps, key))} is not a known key; {advice}"


def shown_path(steps: Steps) -> str:
    """How a message names a key: `key`, `[table].key`, `[list#2].key`, `list#2`."""
    text = ""
    for step in steps:
        text += f"#{step + 1}" if isinstance(step, int) else f".{step}"
    text = text.removeprefix(".")
    if not steps or isinstance(steps[-1], int) or "." not in text:
        return text
    table, key = text.rsplit(".", 1)
    return f"[{table}].{key}"


def _sentence(reason: str, table: Table) -> str:
    """The message of msgspec as one sentence that names the key and the value."""
    at = _AT.search(reason)
    steps: Steps = ()
    if at:
        steps = tuple(name or (int(n) if n.isdigit() else n) for name, n in _STEP.findall(at[1]))
        reason = reason[: at.start()]
    missing = _MISSING.fullmatch(reason)
    if missing:
        return f"{shown_path((*steps, missing[1]))} is missing; add it"
    what = reason[:1].lower() + reason[1:]
    return f"{shown_path(steps)}{_shown_value(steps, table)}: {what}; mend it"


def _shown_value(steps: Steps, table: Table) -> str:
    value: object = table
    for step in steps:
        if isinstance(value, list) and isinstance(step, int):
            value = value[step]
        elif isinstance(value, dict) and step in value:
            value = value[cast("str", step)]
        else:
            return ""
    if isinstance(value, dict | list) or any(_SECRET.search(str(step)) for step in steps):
        return ""
    shown = repr(value)
    return f" = {shown if len(shown) <= MAX_SHOWN_CHARS else shown[:MAX_SHOWN_CHARS] + '…'}"
