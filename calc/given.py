"""Where readings that no edge measured came from: who gave them, why, from which file or document. Pure.

Guaranteed: everything comes from signed leaves. An import's event stands before the leaves with its values, so that
each value is told by the last event before it that has its origin; what came over MQTT has none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import msgspec

from calc.leaves import Imported
from hakari.ledger.result import Given
from hakari.wire.rows import Row

MAX_GIVEN = 100
NO_EVENT = -1

Events = Mapping[tuple[str, int], Sequence[Imported]]


def given_of(point: str, origin: str, rows: Sequence[Row], events: Events) -> list[Given]:
    """What gave the readings `rows` of a point, each source once, in order of the first reading that it gave.

    At most MAX_GIVEN, those of the first and the last reading among them; the last one tells how many are left out.
    """
    found: dict[tuple[int, int], Given] = {}
    for row in rows:
        told = _event(point, row, origin, events)
        place = (row.epoch, NO_EVENT if told is None else told.leaf)
        if place not in found:
            found[place] = _given(point, origin, row, told)
    every = list(found.values())
    if len(every) <= MAX_GIVEN:
        return every
    told = _event(point, rows[-1], origin, events)
    last = found.pop((rows[-1].epoch, NO_EVENT if told is None else told.leaf))
    kept = list(found.values())[: MAX_GIVEN - 1]
    return [*kept, msgspec.structs.replace(last, left_out=len(every) - MAX_GIVEN)]


def _event(point: str, row: Row, origin: str, events: Events) -> Imported | None:
    told = events.get((point.split("/", 1)[0], row.epoch), ())
    at = bisect_right(told, row.leaf, key=lambda one: one.leaf) - 1
    return told[at] if at >= 0 and told[at].data.get("origin") == origin else None


def _given(point: str, origin: str, row: Row, told: Imported | None) -> Given:
    if told is None:
        return Given(point=point, origin=origin, way="", epoch=row.epoch, leaf=row.leaf)
    data = told.data
    return Given(
        point=point,
        origin=origin,
        way=data.get("way", ""),
        who=data.get("who", ""),
        why=data.get("why", ""),
        name=data.get("name", ""),
        sha256=data.get("sha256", ""),
        document=data.get("document", ""),
        document_sha256=data.get("document_sha256", ""),
        imported_ms=told.wall_ms,
        epoch=row.epoch,
        leaf=told.leaf,
    )
