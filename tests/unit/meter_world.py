"""From words on a wire to a register's course: profiles, leaves and rows are real, only the words are given."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from calc.registers import HOUR_MS, Course, Metering, course_of
from edge.library import profile
from hakari.ledger.result import Role
from hakari.registers.profile import Profile
from hakari.units import EXACT
from hakari.wire.configuration import Meter, MeteringConfiguration, sha256_of, text_of
from hakari.wire.leaf import Block, Leaf, Sample, Sync
from hakari.wire.rows import Place, Row, derive

EDGE = "sola-e1"
METER = "main"
START_MS = 1_467_331_200_000
FUNCTIONS = {"holding": 3, "input": 4}


class Asked(NamedTuple):
    """One exchange: `words` in hex as answered, or why there was no answer to `asked` words."""

    table: str
    address: int
    words: str = ""
    asked: int = 0
    error: str = ""


def bundled(name: str) -> Profile:
    """The profile of that name that comes with hakari."""
    return profile(name, Path())


def rows_of(found: Profile, samples: Sequence[Sequence[Asked]], *, step_ms: int = HOUR_MS) -> list[Row]:
    """The rows of one meter with every point commissioned, one sample each `step_ms`."""
    meter = Meter(METER, "bus", 1, "", found, commissioned=[point.name for point in found.points])
    configuration = MeteringConfiguration(v=1, edge=EDGE, interval_ms=step_ms, max_lag_ms=60_000, meters=[meter])
    cfg, end_ms = sha256_of(text_of(configuration)), START_MS + len(samples) * step_ms
    leaf = Leaf(
        1, EDGE, 1, 0, base64.b64encode(bytes(16)).decode(), "0123456789abcdef", end_ms, end_ms, Sync("lockstep"), cfg,
        "hakari", [_sample(START_MS + k * step_ms, asked) for k, asked in enumerate(samples)],
    )  # fmt: skip
    rows, refusals = derive(Place(EDGE, 1, 0), leaf, {cfg: configuration})
    if refusals:
        raise AssertionError(refusals)
    return rows


def blocks_of(asked: Sequence[Asked], t_ms: int) -> list[Block]:
    """What the log keeps of these exchanges."""
    return [_block(one, t_ms) for one in asked]


def course(rows: Sequence[Row], point: str, capacity: str, *, role: Role = "credited") -> Course:
    """The course of one point's register; `capacity` in its unit an hour."""
    metering = Metering(role, HOUR_MS, HOUR_MS, Decimal(capacity), None)
    return course_of([row for row in rows if row.point == f"{EDGE}/{METER}/{point}"], metering)


def total(found: Course) -> Decimal:
    """What the register gave from its first reading to its last."""
    return EXACT.subtract(found.samples[-1].running, found.samples[0].running)


def rules(found: Course) -> list[str]:
    """What happened on the course."""
    return [incident.rule for incident in found.incidents]


def _sample(t_ms: int, asked: Sequence[Asked]) -> Sample:
    return Sample(t_ms, t_ms, blocks_of(asked, t_ms))


def _block(one: Asked, t_ms: int) -> Block:
    words = bytes.fromhex(one.words)
    count = one.asked or len(words) // 2
    function = FUNCTIONS[one.table]
    answer = "" if one.error else (bytes([function, len(words)]) + words).hex()
    return Block(METER, "modbus-tcp", f"01{function:02x}{one.address:04x}{count:04x}", t_ms, 900, answer, one.error)
