"""From a point list on disk to a profile on disk: what `hakari edge import-points` does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge import library
from edge.sunspec.text import toml_of
from edge.tools import points_file
from edge.tools.meter_text import meter_text
from edge.tools.output_file import check_free, write_free
from edge.tools.points_table import Choices, import_points
from hakari.errors import BadConfiguration

MAX_TEXT_CHARS = 200
_ID = re.compile(r"[a-z0-9-]{1,60}")


class ImportInvalid(BadConfiguration):
    """What was stated beside the list cannot be used."""


class ImportReport(msgspec.Struct, frozen=True):
    """What became of a list; the two texts are empty where something was refused."""

    sheet: str
    refused: list[str]
    ignored: list[str]
    points: int
    profile_toml: str
    meter_toml: str
    written: str
    skipped: list[str] = []


def imported(file: Path, out: Path | None, options: Mapping[str, Any]) -> ImportReport:
    """The report on `file`; `out` is written only where nothing is refused, and never overwritten."""
    if out is not None and out.suffix != library.SUFFIX:
        raise ImportInvalid(f"--out {out} does not end with .toml, so no configuration could name it; add .toml")
    check_free(out)
    held = points_file.read(file, options["encoding"])
    choices = Choices(
        id=_identifier(options["id_"]),
        maker=_text("--maker", options["maker"]),
        model=_text("--model", options["model"]),
        source=f"point list {file.name}, SHA-256 {held.sha256}",
        addressing=options["addressing"],
        word_order=options["word_order"],
        table=options["table_"],
        counters=options["counters"],
        names=_renames(options["renames"]),
        max_words=options["max_words"],
        dictionary=points_file.names(options["names"], options["encoding"]) if options["names"] else {},
    )
    done = import_points(held.sheets, choices, options["sheet"])
    if done.profile is None:
        return ImportReport(done.sheet, done.refused, done.ignored, 0, "", "", "", done.skipped)
    text = toml_of(done.profile)
    if library.read(text, "the imported profile") != done.profile:
        raise RuntimeError("the profile does not read back as it was written")
    if out is not None:
        write_free(out, text)
    name = out.name if out is not None else f"{choices.id}{library.SUFFIX}"
    meter = meter_text("main", None, name, choices.id.replace("-", "_")[:40])
    points = len(done.profile.points)
    return ImportReport(done.sheet, [], done.ignored, points, text, meter, str(out or ""), done.skipped)


def _identifier(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ImportInvalid(f"--id {text[:80]!r} must be of a-z, 0-9 and hyphens, at most 60 characters")
    return text


def _text(option: str, text: str) -> str:
    if not text.strip() or len(text) > MAX_TEXT_CHARS or not text.isprintable():
        raise ImportInvalid(f"{option} {text[:40]!r} must be 1 to {MAX_TEXT_CHARS} printable characters")
    return text.strip()


def _renames(told: tuple[str, ...]) -> dict[str, str]:
    names: dict[str, str] = {}
    for one in told:
        old, mark, new = one.rpartition("=")
        if not mark or not old:
            raise ImportInvalid(f"--rename {one!r} is not OLD=NEW; write the list's name, = and the new one")
        names[old] = new
    return names
