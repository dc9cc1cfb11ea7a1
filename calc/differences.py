"""Where two results differ, said by path with both values: what a verifier reads of a figure that is false."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile, zip_longest

import msgspec

MAX_NAMED = 5
MAX_SHOWN_CHARS = 120
MAX_KEY_CHARS = 60
SHOWN_BEFORE = 20  # characters shown of what stands before the first difference of two long values
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class _Nothing:
    """Stands for what only the other side has."""


_NOTHING = _Nothing()


def differences(path: str, stated: object, computed: object, by: str = "computed") -> str | None:
    """The first differences below `path`, each with both values, and how many more; None where there are none.

    Shaped `equipment[0].class_values[0].value: stated 4.92, computed 5.33; …; and 3 more`, names as in the JSON.
    """
    named: list[str] = []
    more = 0
    for where, said, found in _walk(path, msgspec.to_builtins(stated), msgspec.to_builtins(computed)):
        if len(named) < MAX_NAMED:
            named.append(f"{where}: {_pair(said, found, by)}")
        else:
            more += 1
    return "; ".join([*named, f"and {more} more"] if more else named) or None


def _walk(path: str, said: object, found: object) -> Iterator[tuple[str, object, object]]:
    if said == found:
        return
    if isinstance(said, dict) and isinstance(found, dict):
        for key in dict.fromkeys([*said, *found]):
            yield from _walk(f"{path}.{str(key)[:MAX_KEY_CHARS]}", said.get(key, _NOTHING), found.get(key, _NOTHING))
    elif isinstance(said, list) and isinstance(found, list):
        for at, (one, other) in enumerate(zip_longest(said, found, fillvalue=_NOTHING)):
            yield from _walk(f"{path}[{at}]", one, other)
    else:
        yield path, said, found


def _pair(said: object, found: object, by: str) -> str:
    stated, computed = _text(said), _text(found)
    start = 0
    if max(len(stated), len(computed)) > MAX_SHOWN_CHARS:
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(stated, computed, strict=False)))
        start = max(0, same - SHOWN_BEFORE)
    return f"stated {_cut(stated, start)}, {by} {_cut(computed, start)}"


def _text(value: object) -> str:
    if isinstance(value, _Nothing):
        return "nothing"
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return value
    return msgspec.json.encode(value).decode()


def _cut(text: str, start: int) -> str:
    """At most the limit of `text` from `start` on, with a mark where something is left out."""
    end = start + MAX_SHOWN_CHARS
    return f"{'…' if start else ''}{text[start:end]}{'…' if len(text) > end else ''}"
