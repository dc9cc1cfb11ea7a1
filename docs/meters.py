"""Writes docs/meters.md from the bundled meter profiles: `make docs`. A test holds the page to what this prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.library import bundled, profile
from edge.plan import requests_of
from hakari.registers.profile import Profile

HEAD = """# Meters

Written from the bundled profiles by `make docs`; do not edit. A profile is data without logic: `edge/profiles/*.toml`,
or a file of your own that `profile = "my-meter.toml"` names. Addresses are 0-based, as on the wire. *Standing* says how
sure the register map is: read in two sources, in one, or in an excerpt. Each bundled profile has a case under
`tests/cases/profiles/` that proves its decoding.
"""


def page() -> str:
    """The whole page."""
    sections = (line for name in bundled() for line in section(profile(name, Path())))
    return "\n".join([HEAD, *sections]).rstrip() + "\n"


def section(one: Profile) -> Iterator[str]:
    """One meter model: where its map comes from and what is read of it."""
    requests = len(requests_of(one, 1))
    yield f"## `{one.id}`"
    yield ""
    yield f"{one.maker} {one.model}. Standing: {one.standing}. {requests} request{'s' * (requests > 1)} a sample."
    yield ""
    yield f"Source: {one.source}."
    yield ""
    if one.notes:
        yield one.notes
        yield ""
    yield "| point | register | type | kind | unit |"
    yield "|---|---|---|---|---|"
    for point in one.points:
        scale = f" × 10^{point.scale_point}" if point.scale_point else f" × 10^{point.exponent}" * bool(point.exponent)
        order = ", low word first" if point.word_order == "low_first" else ""
        yield (
            f"| `{point.name}` | {point.table} {point.address} | {point.type}{order}{scale} | {point.kind}"
            f" | {point.unit} |"
        )
    yield ""


if __name__ == "__main__":
    print(page(), end="")
