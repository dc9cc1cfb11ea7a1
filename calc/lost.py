"""Measurement gaps: steps between two GOOD readings of which bodies of signed leaves in between are forgone (I11).

Guaranteed: nobody gains by a lost body. A credited course does not rise over such a step, a debited one rises by all
of it. Which steps those are follows from the places of readings and leaves alone, never from a clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from calc.registers import Course, Incident, Metering, Sample
from hakari.units import EXACT
from hakari.wire.rows import Row

RULE = "measurement-gap"
VOLTAGE_TEXT = (
    "bodies of signed leaves in between are forgone, so that nobody knows the voltage"
    " / 計測欠損: この間の署名済み記録の本文が失われ、電圧は不明"
)
_CREDITED_TEXT = (
    "bodies of signed leaves in between are forgone; nothing of the step is counted, which lowers the reductions"
    " / 計測欠損: この間の署名済み記録の本文が失われたため、増分は一切算入せず、排出削減量はその分小さくなる"
)
_DEBITED_TEXT = (
    "bodies of signed leaves in between are forgone; the step is counted whole in each period that it touches, so that"
    " no reduction comes of it"
    " / 計測欠損: この間の署名済み記録の本文が失われたため、増分は関係する各期間に全量算入し、排出削減量を増やさない"
)

Starts = Sequence[tuple[int, int]]


def straddle(lost: Starts, one: Row, two: Row) -> bool:
    """Whether a run of forgone leaves lies between the leaves of two readings of one edge, whichever was signed first.

    `lost` has the first (epoch, leaf) of every run, in order. A leaf with a reading has its body, so that a run that
    begins between them ends between them.
    """
    first, last = sorted(((one.epoch, one.leaf), (two.epoch, two.leaf)))
    at = bisect_right(lost, first)
    return at < len(lost) and lost[at] < last


def without_lost(course: Course, metering: Metering, lost: Starts) -> Course:
    """The course of a register with its measurement gaps marked, over which a credited one does not rise."""
    samples = course.samples
    if not lost or not samples:
        return course
    gaps = {
        k: EXACT.subtract(two.running, one.running)
        for k, (one, two) in enumerate(pairwise(samples))
        if straddle(lost, one.row, two.row)
    }
    if metering.role != "debited":
        samples = _flattened(samples, gaps)
    newest = max((sample.row.epoch, sample.row.leaf) for sample in samples)
    if lost[-1] > newest:
        gaps[len(samples) - 1] = Decimal(0)
    return course._replace(samples=samples, lost=gaps)


def _flattened(samples: Sequence[Sample], gaps: dict[int, Decimal]) -> list[Sample]:
    taken, kept = Decimal(0), []
    for k, sample in enumerate(samples):
        taken = EXACT.add(taken, gaps.get(k - 1, Decimal(0)))
        kept.append(sample._replace(running=EXACT.subtract(sample.running, taken)))
    return kept


def measurement_gaps(course: Course, metering: Metering, start_ms: int, end_ms: int) -> list[Incident]:
    """The measurement gaps that touch `[start, end)`, whole; one after which nothing was read ends with the period."""
    text = _DEBITED_TEXT if metering.role == "debited" else _CREDITED_TEXT
    last = len(course.times) - 1
    spans = ((course.times[k], end_ms if k == last else course.times[k + 1], step) for k, step in course.lost.items())
    return [
        Incident(RULE, begin_ms, stop_ms, step, text)
        for begin_ms, stop_ms, step in spans
        if begin_ms < end_ms and stop_ms > start_ms
    ]
