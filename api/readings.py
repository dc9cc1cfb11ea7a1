"""Readings of a point, as the register said them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api import documented
from api.auth import FromCaller, caller_of
from api.links import leaf_link
from api.models import Reading, ReadingLinks, ReadingList
from api.places import Key, key_of
from api.problems import invalid, not_found
from api.queries import JSON, FromPage, Page, accepts, instant_ms, only_known
from api.scope import origins_of
from api.sources import FromSources, Sources
from hakari.names import BadName, Origin, check_local
from hakari.period import time_text
from hakari.quality import Quality
from hakari.registers.reading import WIDTH_BITS
from hakari.store.days import value_of
from hakari.wire.rows import Row, once

MAX_RANGE_MS = 2 * 366 * 86_400_000
MAX_EXPONENT = 200
ALTERED = "the view was altered: an operator runs hakari view compare"

_QUALITIES = frozenset(Quality)

router = APIRouter(
    prefix="/v1/readings", tags=["readings"], dependencies=[Depends(caller_of), Depends(only_known), accepts(JSON)]
)


@router.get(
    "",
    operation_id="reading_list",
    summary="Readings of one point, start ≤ time < end",
    responses=documented.problems(*documented.LISTED, "time-without-offset"),
    openapi_extra={"x-summary-ja": "計量点の読み値"},
)
async def reading_list(
    sources: FromSources,
    caller: FromCaller,
    page: FromPage,
    point: Annotated[
        str,
        Query(max_length=200, description="`{edge id}/{meter}/{point}`.", examples=["sola-e1/export/energy_export"]),
    ],
    start: Annotated[str, Query(description="RFC 3339 with offset.", examples=["2016-07-01T00:00:00-07:00"])],
    end: Annotated[str, Query(description="RFC 3339 with offset.", examples=["2016-08-01T00:00:00-07:00"])],
) -> ReadingList:
    """Values are exact decimals; `raw_hex` is the register's bit pattern, `links.leaf` its signed evidence.

    A reading that reached the log twice is shown once, at its first place, which is where it counts.
    """
    start_ms, end_ms = _range(start, end, sources.clock_ms())
    edge_id = _edge_of(point)
    origins = {origin.epoch: origin for origin in origins_of(sources, caller, edge_id)}
    if not origins:
        raise not_found(f"point {point}")
    displaced = sources.displaced.of(point)
    rows = _page_of_rows(sources.view.read(point, _from(page, start_ms), end_ms), page, displaced)
    shown = rows[: page.limit]
    next_ = page.next_of(list(key_of(shown[-1]))) if len(rows) > page.limit else None
    return ReadingList(
        point=point,
        start=time_text(start_ms),
        end=time_text(end_ms),
        items=[_reading(sources, origins, row) for row in shown],
        next=next_,
        next_url=None if next_ is None else page.url_of(next_),
    )


def _range(start: str, end: str, now_ms: int) -> tuple[int, int]:
    start_ms, end_ms = instant_ms("start", start), instant_ms("end", end)
    if start_ms >= end_ms:
        raise invalid("start", start, f"{start} is not before end {end}; periods are [start, end)", end)
    if end_ms - start_ms > MAX_RANGE_MS:
        raise invalid("end", end, "is more than two years after start; ask for less", "2 years")
    if start_ms > now_ms:
        raise invalid("start", start, f"{start} lies in the future; there are no readings yet", time_text(now_ms))
    return start_ms, end_ms


def _edge_of(point: str) -> str:
    """The edge id in the name of a point; the 404 problem for what can be no point's name."""
    edge_id, *local = point.split("/")
    try:
        meter, name = local
        check_local(meter, "meter")
        check_local(name, "point")
    except (ValueError, BadName) as error:
        raise not_found(f"point {point}") from error
    return edge_id


def _from(page: Page, start_ms: int) -> int:
    after = _after(page)
    return start_ms if after is None else after[0]


def _page_of_rows(rows: Iterator[Row], page: Page, displaced: frozenset[Key]) -> list[Row]:
    """The page's rows and one more where there is one; the rest of the range is not read."""
    after = _after(page)
    found: list[Row] = []
    for row in _in_order(rows):
        if key_of(row) not in displaced and (after is None or key_of(row) > after):
            found.append(row)
        if len(found) > page.limit:
            break
    return found


def _in_order(rows: Iterator[Row]) -> Iterator[Row]:
    """The view leaves open in which order the rows of one leaf come; `once` gives them theirs."""
    for _, same_time in groupby(rows, key=lambda row: row.t_ms):
        yield from once(same_time)


def _after(page: Page) -> Key | None:
    match page.after:
        case None:
            return None
        case [int(t_ms), int(epoch), int(leaf), str(boot), int(mono_ms)]:
            return (t_ms, epoch, leaf, boot, mono_ms)
        case _:
            raise invalid("next", page.after, "is not one that this list gave; start again without it")


def _reading(sources: Sources, origins: dict[int, Origin], row: Row) -> Reading:
    edge_id, meter, name = row.point.split("/")
    origin = origins.get(row.epoch)
    quality, value, reason = _judged(row)
    return Reading(
        time=time_text(row.t_ms),
        value=None if value is None else f"{value:f}",
        unit=None if origin is None else sources.configurations.unit(origin, row.leaf, meter, name),
        quality=quality.name.lower(),
        reason=reason,
        type=row.type,
        raw_hex=f"{row.raw:0{WIDTH_BITS.get(row.type, 64) // 4}x}",
        exponent=row.exponent,
        epoch=row.epoch,
        leaf=row.leaf,
        boot=row.boot,
        mono_ms=row.mono_ms,
        links=ReadingLinks(leaf=leaf_link(edge_id, row.epoch, row.leaf)),
    )


def _judged(row: Row) -> tuple[Quality, Decimal | None, str]:
    """Quality, value and reason of a reading; BAD and why, where no signed leaf can have given such a row."""
    if row.quality not in _QUALITIES:
        return Quality.BAD, None, f"quality {row.quality} is none; {ALTERED}"
    quality = Quality(row.quality)
    if quality is Quality.BAD:
        return quality, None, row.reason
    fits = row.raw >> WIDTH_BITS.get(row.type, 0) == 0 and abs(row.exponent) <= MAX_EXPONENT
    value = value_of(row.type, row.raw, row.exponent) if fits else None
    if value is None:
        told = f"{row.type} of pattern {row.raw:#x} and exponent {row.exponent}"
        return Quality.BAD, None, f"{told} has no value; {ALTERED}"
    return quality, value, row.reason
