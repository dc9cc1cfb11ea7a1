"""What commands print: a table for people, JSON for programs, never both. No Rich, so that the edge stays small."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import click
import msgspec


def json_text(value: object) -> str:
    """`value` as indented JSON; Structs and Decimals as msgspec writes them (decimals as strings)."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def error_object(sentence: str, code: int) -> str:
    """One line of JSON for stderr: `{"error": sentence, "exit_code": code}`."""
    return msgspec.json.encode({"error": sentence, "exit_code": code}).decode()


def table(head: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> str:
    """Columns as wide as their widest cell, two spaces apart; the columns numbered in `right` end flush."""
    cells = [[printable(text) for text in row] for row in (head, *rows)]
    widths = [max(_width(row[k]) for row in cells) for k in range(len(head))]
    lines = ["  ".join(_pad(text, widths[k], flush=k in right) for k, text in enumerate(row)) for row in cells]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def show(value: object, text: str, as_json: bool) -> None:
    """Prints `value` as JSON where asked for, else `text`, of which nothing but its line feeds moves the cursor."""
    lines = text.replace("\t", "    ").split("\n")
    click.echo(json_text(value) if as_json else "\n".join(map(printable, lines)))


def printable(value: object) -> str:
    """`value` as one line of printable characters: what came from outside can neither move the cursor nor end a line.

    Whatever puts foreign text into the lines that it hands to `show` passes it through here first.
    """
    text = "" if value is None else str(value)
    return text if text.isprintable() else "".join(char if char.isprintable() else "�" for char in text)


def _width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _pad(text: str, width: int, *, flush: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if flush else text + space
