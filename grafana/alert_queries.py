"""Queries of the alerts, in Flux: one number a series, whatever arrives or does not."""

from __future__ import annotations

from grafana.flux import flux, last_rows
from grafana.queries import EDGE, HEALTH, Measured, Query


def _alert(measured: Measured, fields: tuple[str, ...], more: str) -> Query:
    return flux(last_rows(measured, fields, "v.timeRangeStart", chosen=False) + more)


def _numbers(*tags: str) -> str:
    """The shape that Grafana's alerting takes: a time, one number, and the tags as labels."""
    columns = ", ".join(f'"{tag}"' for tag in tags)
    return f"""
  |> group(columns: [{columns}])
  |> keep(columns: ["_time", "_value", {columns}])"""


def silent_meter_excess_s() -> Query:
    """By how much the freshest point of each meter is older than its limit; below 0 while the whole edge is silent."""
    return _alert(
        HEALTH,
        ("age_alarm_s", "limit_s"),
        """
  |> map(fn: (r) => ({r with _value: r.age_alarm_s - r.limit_s}))
  |> group(columns: ["site", "edge", "meter"])
  |> min()"""
        + _numbers("site", "edge", "meter"),
    )


def silent_register_excess_s() -> Query:
    """By how much a counter that has answered before is older than its limit while its meter does answer."""
    return _alert(
        HEALTH,
        ("age_alarm_s", "limit_s", "quality"),
        """
  |> map(fn: (r) => ({r with excess: r.age_alarm_s - r.limit_s}))
  |> group(columns: ["site", "edge", "meter"])
  |> reduce(
    identity: {_time: 1970-01-01T00:00:00Z, freshest: 1000000000.0, worst: -1000000000.0},
    fn: (r, accumulator) => ({
      _time: r._time,
      freshest: if r.excess < accumulator.freshest then r.excess else accumulator.freshest,
      worst: if r.kind == "counter" and r.quality < 3 and r.excess > accumulator.worst then r.excess else accumulator.worst,
    }),
  )
  |> map(fn: (r) => ({r with _value: if r.freshest > 0.0 then 0.0 else r.worst}))"""  # noqa: E501
        + _numbers("site", "edge", "meter"),
    )


def silent_edge_excess_s() -> Query:
    """By how much the newest leaf of each edge is older than its limit."""
    return _alert(
        EDGE,
        ("age_s", "limit_s"),
        "\n  |> map(fn: (r) => ({r with _value: r.age_s - r.limit_s}))" + _numbers("site", "edge"),
    )


def edge_number(field: str) -> Query:
    """A number of each edge as it stands."""
    return _alert(
        EDGE,
        (field,),
        f"\n  |> map(fn: (r) => ({{r with _value: float(v: r.{EDGE[field]})}}))" + _numbers("site", "edge"),
    )


def health_rows() -> Query:
    """How many minutes of edges' health were written in the range; no row at all where ingest is dead."""
    return flux(
        f"""from(bucket: v.defaultBucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "{EDGE.name}" and r._field == "{EDGE["leaves"]}")
  |> group()
  |> count()
  |> map(fn: (r) => ({{_time: v.timeRangeStop, _value: float(v: r._value)}}))"""
    )
