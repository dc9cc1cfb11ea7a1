"""The one home of every name in InfluxDB: measurements, tags and fields, as ingest and calc write and Grafana reads.

A field's unit ends its name. Times are UTC. The tag `point` is a point's whole name, `{edge id}/{meter}/{point}`;
no other tag holds a slash, since ids are of [a-z0-9_-].
"""

from __future__ import annotations

# What one meter gave in one sample. Time: the slot in milliseconds, its nanoseconds telling apart samples of one slot.
# Of each point p: `p.raw` its bit pattern, an integer; `p.value` the number for people where it is GOOD, `p.uncertain`
# where it is UNCERTAIN, a float; `p.flaw` quality and reason as text where it is not simply GOOD.
READING = "reading"
READING_TAGS = ("site", "edge", "meter", "epoch")
RAW, FLAW, SHAPE = "raw", "flaw", "shape"
QUALITIES = ("good", "uncertain", "bad")
VALUES = ("value", "uncertain")
READING_FIELDS = (
    *QUALITIES,  # how many of the points are so; absent where none is
    SHAPE,  # text: type and exponent of each point
    "leaf",
    "mono_ms",
    "boot",
)

# How far the readings view is (also tag generation), since when and in which layout; and what could not become rows.
# Tags edge and epoch. Their time is no time of the plant: the farther a cursor, the later a refused leaf, the later.
CURSOR = "cursor"
REFUSED = "refused"

# One row a minute for every point of every rostered edge, also when nothing arrives. Written by ingest.
HEALTH_MINUTE = "health_minute"
HEALTH_TAGS = ("site", "edge", "meter", "point", "kind")
HEALTH_FIELDS = (
    "age_s",  # since the slot of the last GOOD reading; the oldest of the edge where the point never had one
    "age_alarm_s",  # the same, but 0 while the whole edge is silent, so that one dead uplink is one alarm
    "limit_s",  # from which age on the point is silent: five intervals, 15 minutes, or a leaf's span and two intervals
    "frozen_s",  # how long the register had stood still at the last GOOD reading
    "quality",  # of the last reading: 0 good, 1 uncertain, 2 bad, 3 never any
    "completeness_24h",  # share of 24 hours' slots with a GOOD reading, 0 to 1; up to what a living edge has delivered
    "value",  # of the last GOOD reading, for people
    "state",  # text: ok, suspect, stale, never, edge silent; unproven, suspended: read, but it does not count
)

# One row a minute for every rostered edge, also when nothing arrives. Written by ingest.
EDGE_MINUTE = "edge_minute"
EDGE_TAGS = ("site", "edge")
EDGE_FIELDS = (
    "age_s",  # since ingest last stored a leaf of the edge; since ingest began where it never did
    "limit_s",  # from which age on the edge is silent
    "late_s",  # how long the newest leaf was under way: received minus cut
    "leaves",  # stored, over all epochs
    "epochs_unapproved",  # epochs that hold leaves and are not in the roster
    "view_behind",  # leaves that are stored and not yet in the view
    "frozen",  # 1 while a conflict holds the newest epoch, else 0
    "state",  # text: ok, silent, never, frozen
    "outbox_age_s",  # how old what the edge delivers now was: its newest leaf's lateness, or its silence
    "clock_offset_ms",  # of the edge's clock when its newest leaf was cut
    "certificate_days",  # until the edge's certificate ends; absent where the edge has told none
    "flags",  # text: kinds of alarms that stand for the edge or one of its meters, in order, a space between
)

# One row a minute for every meter of every rostered edge, also when nothing arrives. Written by ingest.
METER_MINUTE = "meter_minute"
METER_TAGS = ("site", "edge", "meter")
METER_FIELDS = (
    "age_s",  # of its freshest point
    "age_alarm_s",  # the same, but 0 while the whole edge is silent
    "limit_s",
    "completeness_24h",  # of its worst counter; of its worst point where it has none
    "frozen",  # 1 while the meter repeats itself word for word, else 0
    "points",  # expected, from the configuration
    "points_ok",  # of them in the state ok
    "state",  # text: the best state of its points
    "flags",  # text: kinds of alarms that stand for the meter
)

# One row a minute for every alarm that stands, and a last one when it is cleared; a tag of nothing is "-". Written by
# ingest.
ALARM = "alarm"
ALARM_TAGS = ("kind", "severity", "site", "edge", "meter", "subject")
ALARM_FIELDS = (
    "active",  # 1 while it stands, 0 when it was cleared
    "number",  # the same from being raised to being cleared
    "raised_ms",  # since 1970, plant time
    "detail",  # text
    "english",  # text
    "japanese",  # text
)

# One row a local day (time: local midnight) for each point that a project binds. Written by calc.
PERIOD_DAY = "period_day"
DAY_TAGS = ("project", "site", "edge", "meter", "point", "quantity", "unit")
DAY_FIELDS = (
    "amount",  # the day's quantity in `unit`, for people; absent where it was refused
    "amount_text",  # the same in full precision
    "good_slots",
    "expected_slots",
    "completeness",  # good ÷ expected slots, 0 to 1
    "incidents",  # gaps, resets, caps and the like that touch the day
    "refused",  # 1 where the day has no quantity, else 0
)

# One row a local day for each project: its emissions as a draft. Written by calc.
EMISSIONS_DAY = "emissions_day"
EMISSIONS_TAGS = ("project", "site", "methodology", "standing")
EMISSIONS_FIELDS = (
    "reference_tco2",
    "project_tco2",
    "reductions_tco2",
    "reductions_text",  # in full precision
    "completeness",
    "locked",  # 1 where the day lies in a locked period, else 0
)
