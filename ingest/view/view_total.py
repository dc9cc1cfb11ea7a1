"""`hakari view total`: how far a cumulative register ran in a period, as the view has it, for an operator's eye.

Credits nothing: calc decides, from the evidence, what a fall of the register means and what a gap is worth. Inside
the period the days' summaries tell; only of the two days in which it starts and ends are rows asked for.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import click

from hakari import settings as toml
from hakari.cli.output import printable, show, table
from hakari.errors import REFUSED, DataProblem, Refused
from hakari.names import Origin
from hakari.period import time_text
from hakari.quality import Quality
from hakari.store.configurations import LoggedConfigurations
from hakari.store.days import ALL_MS, DAY_MS, day_of, fell, value_of
from hakari.store.evidence import EvidenceLog
from hakari.store.view import ReadingsView, ViewDay
from hakari.units import EXACT
from hakari.wire.configuration import MeteringConfiguration
from hakari.wire.envelope import inflate
from hakari.wire.leaf import decode
from hakari.wire.rows import Row, once
from ingest.options import opened_evidence, opened_view, options
from ingest.settings import Settings, load_settings

LOOK_BACK_MS = 31 * DAY_MS
MAX_PERIOD_MS = 3700 * DAY_MS
MAX_INTERVAL_S = 86_400
SHARE_DIGITS = 6
CREDITS_NOTHING = "credits nothing: calc decides"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PointUnknown(Refused):
    """The view has no reading of that point."""


class Total(NamedTuple):
    """A register over [start_ms, end_ms).

    `first` and `last` are the last GOOD readings at or before both ends, looked for over 31 days before the period;
    `quantity` is the difference of their exact values in the register's unit, None where `refused` says why.
    `readings` and `good_slots` are counted once and within the period; `expected_slots` from `interval_ms`, 0 where
    that is not known.
    """

    point: str
    start_ms: int
    end_ms: int
    first: Row | None
    last: Row | None
    quantity: Decimal | None
    refused: str
    falls: int
    readings: int
    good_slots: int
    expected_slots: int
    interval_ms: int

    @property
    def completeness(self) -> Decimal | None:
        """Good slots ÷ expected slots, for people: rounded down to six digits.

        None where none are expected, or where there are more than are expected: the interval is another one inside.
        """
        if not self.expected_slots or self.good_slots > self.expected_slots:
            return None
        return Decimal(self.good_slots * 10**SHARE_DIGITS // self.expected_slots).scaleb(-SHARE_DIGITS)


def period_total(view: ReadingsView, point: str, start_ms: int, end_ms: int, interval_ms: int = 0) -> Total:
    """The total of `point` over [start_ms, end_ms); without `interval_ms` that which most of its slots keep."""
    days = {day.start_ms: day for day in view.days(point, day_of(start_ms) - LOOK_BACK_MS, day_of(end_ms) + DAY_MS)}
    edges = {day_ms: _counted(view, point, days.get(day_ms)) for day_ms in (day_of(start_ms), day_of(end_ms))}
    first = _boundary(days, edges, start_ms)
    last, falls, readings, good_slots = first, 0, 0, 0
    for day_ms in sorted(day_ms for day_ms in days if day_of(start_ms) <= day_ms):
        if day_ms not in edges:
            day = days[day_ms]
            falls += day.falls + _falls(last, day.first)
            last, readings, good_slots = day.last or last, readings + day.rows, good_slots + day.good_slots
            continue
        inside = [row for row in edges[day_ms] if start_ms <= row.t_ms < end_ms]
        readings, good_slots = readings + len(inside), good_slots + len({row.t_ms for row in _good(inside)})
        for row in _good(edges[day_ms]):
            if start_ms < row.t_ms <= end_ms:
                falls, last = falls + _falls(last, row), row
    quantity, refused = _difference(first, last, falls)
    if refused and not falls:
        refused += _why_unused(row for rows in edges.values() for row in rows if row.t_ms <= end_ms)
    interval_ms = interval_ms or _interval_seen(edges.values())
    expected = -(-end_ms // interval_ms) + (-start_ms // interval_ms) if interval_ms else 0
    ends = (point, start_ms, end_ms, first, last)
    return Total(*ends, quantity, refused, falls, readings, good_slots, expected, interval_ms)


def _counted(view: ReadingsView, point: str, day: ViewDay | None) -> Sequence[Row]:
    """The readings of a day, each once over the whole point."""
    if day is None:
        return ()
    rows = once(view.read(point, day.start_ms, day.start_ms + DAY_MS))
    if len(rows) != day.rows:
        # Some count on other days; which ones, only all rows tell.
        rows = [row for row in once(view.read(point, *ALL_MS)) if day_of(row.t_ms) == day.start_ms]
    return rows


def _good(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.quality == Quality.GOOD]


def _boundary(days: Mapping[int, ViewDay], edges: Mapping[int, Sequence[Row]], at_ms: int) -> Row | None:
    """The last GOOD reading at or before `at_ms`."""
    before = [row for row in _good(edges[day_of(at_ms)]) if row.t_ms <= at_ms]
    earlier = [day.last for day in days.values() if day.last and day.start_ms < day_of(at_ms)]
    found = before or earlier
    return found[-1] if found else None


def _falls(before: Row | None, after: Row | None) -> int:
    return int(before is not None and after is not None and fell(before, after))


def _difference(first: Row | None, last: Row | None, falls: int) -> tuple[Decimal | None, str]:
    """The quantity, or why there is none."""
    if first is None:
        return None, f"there is no GOOD reading at or before its start, nor in the {LOOK_BACK_MS // DAY_MS} days before"
    if falls:
        return None, f"the register fell {falls} times; calc decides what that was"
    if first == last:
        return None, f"there is no GOOD reading after the one at {time_text(first.t_ms)}"
    start, end = (value_of(*row[2:5]) if row else None for row in (first, last))
    if start is None or end is None:
        return None, "a boundary reading has no exact value"
    try:
        return EXACT.subtract(end, start), ""
    except ArithmeticError:
        return None, f"{end} − {start} has more than {EXACT.prec} digits"


def _why_unused(rows: Iterable[Row]) -> str:
    """The commonest reason of the readings that do not count, of those on the days at both ends; "" without any."""
    reasons = Counter(row.reason or "no value" for row in rows if row.quality != Quality.GOOD)
    if not reasons:
        return ""
    reason, count = min(reasons.items(), key=lambda one: (-one[1], one[0]))
    return f"; {reasons.total()} readings on the days at its ends do not count, {count} of them because: {reason}"


def _interval_seen(edges: Iterable[Sequence[Row]]) -> int:
    """The commonest distance between slots on the days at both ends, 0 where there are not two."""
    steps: Counter[int] = Counter()
    for rows in edges:
        steps.update(b - a for a, b in pairwise(sorted({row.t_ms for row in rows})))
    return min(steps, key=lambda step: (-steps[step], step), default=0)


def _instant(_: click.Context, __: click.Parameter, value: str) -> int:
    """An ISO 8601 instant with its offset, as UTC milliseconds."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{printable(value)!r} is no ISO 8601 time, such as 2026-01-01T00:00:00+09:00"
        ) from error
    if moment.tzinfo is None:
        raise click.BadParameter(f"{value!r} has no offset from UTC, such as 2026-01-01T00:00:00+09:00; write it too")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


@click.command("total")
@options
@click.argument("point")
@click.option("--from", "start_ms", required=True, callback=_instant, help="Start, ISO 8601 with offset.")
@click.option("--to", "end_ms", required=True, callback=_instant, help="End, not included.")
@click.option(
    "--interval-s",
    type=click.IntRange(1, MAX_INTERVAL_S),
    help="Seconds from slot to slot; else as logged, or what most slots keep on the days at both ends.",
)
def total(config: Path, point: str, start_ms: int, end_ms: int, interval_s: int | None, *, as_json: bool) -> int:
    """Show how far the register of POINT ran in a period, and how complete its readings are. Credits nothing.

    Exit code 6 where there is no figure, as when the register fell.
    """
    if not start_ms < end_ms <= start_ms + MAX_PERIOD_MS:
        raise click.UsageError(f"--to must lie after --from, by at most {MAX_PERIOD_MS // DAY_MS} days")
    given = load_settings(config, os.environ)
    with opened_view(config, given, read_only=True) as view:
        interval_ms = (interval_s or 0) * 1000 or _interval_logged(config, given, point)
        found = period_total(view, point, start_ms, end_ms, interval_ms)
        if found.first is None and not found.readings:
            _check_known(view, point)
    show(_value(found), _text(found), as_json)
    return REFUSED if found.refused else 0


def _interval_logged(config: Path, given: Settings, point: str) -> int:
    """How often the newest logged configuration of the edge has the point read, 0 where that is not known."""
    if given.postgresql is None and not toml.beside(config, given.ingest.evidence).is_file():
        return 0
    edge_id, _, local = point.partition("/")
    meter_id, _, name = local.partition("/")
    with opened_evidence(config, given) as evidence:
        origins = sorted(origin for origin in evidence.origins() if origin.edge_id == edge_id)
        configuration = _newest_configuration(evidence, origins[-1]) if origins else None
    meter = None if configuration is None else configuration.meter(meter_id)
    read = [one.every for one in meter.profile.points if one.name == name] if meter is not None else []
    return configuration.interval_ms * read[0] if configuration is not None and read else 0


def _newest_configuration(evidence: EvidenceLog, origin: Origin) -> MeteringConfiguration | None:
    size = evidence.head(origin).size
    stored = evidence.leaf(origin, size - 1) if size else None
    try:
        leaf = decode(inflate(stored.deflated)) if stored is not None else None
    except DataProblem:
        return None
    if leaf is None:
        return None
    cfg = leaf.cfg if leaf.configuration is None else leaf.configuration.sha256
    return LoggedConfigurations(evidence).find(origin, size, cfg) if cfg else None


def _check_known(view: ReadingsView, point: str) -> None:
    points = view.points()
    if point not in points:
        near = difflib.get_close_matches(point, points, n=1, cutoff=0.4)
        advice = f"did you mean {near[0]}?" if near else f"it has {len(points)} points; see hakari view status"
        raise PointUnknown(f"readings view has no reading of {printable(point)!r}; {advice}")


def _value(found: Total) -> dict[str, object]:
    return {
        "point": found.point,
        "from": time_text(found.start_ms),
        "to": time_text(found.end_ms),
        "quantity": _plain(found.quantity),
        "refused": found.refused or None,
        "start": _reading(found.first),
        "end": _reading(found.last),
        "falls": found.falls,
        "readings": found.readings,
        "good_slots": found.good_slots,
        "expected_slots": found.expected_slots or None,
        "completeness": _plain(found.completeness),
        "interval_s": found.interval_ms / 1000 if found.interval_ms else None,
        "credits": CREDITS_NOTHING,
    }


def _reading(row: Row | None) -> dict[str, object] | None:
    if row is None:
        return None
    value = _plain(value_of(*row[2:5]))
    return {"slot": time_text(row.t_ms), "value": value, "raw": row.raw, "epoch": row.epoch, "leaf": row.leaf}


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _text(found: Total) -> str:
    rows = [(name, *_shown(row)) for name, row in (("start", found.first), ("end", found.last))]
    share = found.completeness
    complete = (
        f"{share * 100:.2f} %: {found.good_slots} good slots of {found.expected_slots}, one every"
        f" {found.interval_ms / 1000:g} s"
        if share is not None
        else f"not known: {found.good_slots} good slots; give --interval-s"
    )
    figure = f"REFUSED: {found.refused}" if found.quantity is None else f"{found.quantity:f} in the register's unit"
    lines = [
        table(("boundary", "slot", "register", "leaf"), rows, right=(2,)),
        "",
        f"total         {figure}",
        f"completeness  {complete}",
        f"readings      {found.readings}",
        f"This figure {CREDITS_NOTHING}.",
    ]
    return "\n".join(lines)


def _shown(row: Row | None) -> tuple[str, str, str]:
    if row is None:
        return "none", "", ""
    return time_text(row.t_ms), _plain(value_of(*row[2:5])) or "no value", f"{row.epoch}/{row.leaf}"
