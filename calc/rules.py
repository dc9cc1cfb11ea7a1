"""The table of rules for registers, gaps and rounding, with the direction of each by the role of the quantity.

A credited quantity raises the reductions when it rises, so that every doubt makes it smaller; a debited one
lowers them, so that no doubt may make it smaller. `both` stands in reference and project emissions alike and
is treated as credited: a methodology declares it only where the reductions rise with it.
A change of this table changes numbers: raise RULES_VERSION and say so in the changelog.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Literal

import msgspec

from hakari.checks import CAPACITY_MARGIN

RULES_VERSION = "3"
PHANTOM_LIMIT_MS = 24 * 3_600_000
GAP_INTERVALS = Decimal("1.5")

Effect = Literal["none", "less", "counted", "refused"]


class Rule(msgspec.Struct, frozen=True):
    """One rule: what happens, and what it does to a credited and to a debited quantity."""

    key: str
    title: str
    credited: Effect
    debited: Effect
    text: str


RULES: tuple[Rule, ...] = (
    Rule(
        "boundary",
        "Boundary register",
        "none",
        "none",
        "The last GOOD reading at or before local midnight within the plan's limit; both periods share it.",
    ),
    Rule(
        "boundary-moved",
        "Measurement gap at a boundary",
        "less",
        "refused",
        "Without a boundary register a credited quantity is counted between GOOD readings inside the period only;"
        " a debited one is refused.",
    ),
    Rule(
        "telemetry-gap",
        "Telemetry gap",
        "counted",
        "counted",
        "The register ran on, so its step is counted; a credited one within capacity × time × margin. A debited one"
        " in which an unsigned register can have run through its whole width is refused.",
    ),
    Rule(
        "measurement-gap",
        "Measurement gap of forgone bodies",
        "less",
        "counted",
        "Between two successive GOOD readings of an edge, in the order of their leaves, lie leaves whose bodies were"
        " forgone: a credited quantity counts nothing of the step and of the energised time, a debited one all. Where"
        " midnight lies in such a step, a debited register is taken from before it at the start and after it at the"
        " end, whatever the plan's limit, so that both periods have the whole step; it is refused while none was read"
        " after it.",
    ),
    Rule(
        "capacity",
        "Step beyond capacity",
        "less",
        "counted",
        "A step beyond capacity × time × margin is not credited, for it may be another meter's or that of a register"
        " that stood still; a debited step is counted whole. Steps may"
        " exceed it by one count of the coarsest scale, granted once over all of them and won back by smaller steps."
        " A credited register that came down from beyond its capacity and rises beyond it again is refused. Where"
        " readings left out as phantoms ran on, outnumber those that they contradict and then rose beyond capacity, the"
        " step across them gives no more than they did.",
    ),
    Rule(
        "wrap",
        "Register wrapped",
        "counted",
        "counted",
        "An unsigned register that fell is joined at its type's width, in raw units and at one scale, only where the"
        " joined step is within capacity × time × margin, the silence at most 24 h, what it can have run meanwhile"
        " below half its width, no step of the day before beyond capacity, and the fall no phantom.",
    ),
    Rule(
        "phantom",
        "Phantom reading",
        "none",
        "none",
        "Readings that leave the register's course and return to it within 24 h add nothing and are no boundary;"
        " nor are, of a credited register, those before them that they contradict. A debited register must not have"
        " run on from or among them: what may be a reset or another meter is one.",
    ),
    Rule(
        "frozen",
        "Frozen meter",
        "none",
        "none",
        "A meter that answers the same words for an hour and four samples at least, a mains voltage or frequency above"
        " zero among them, stands still: its readings after the first of them add nothing and are no boundary. A"
        " missing answer neither ends nor lengthens that time.",
    ),
    Rule(
        "reset",
        "Unresolved reset",
        "refused",
        "refused",
        "A register that fell and does not return gives no quantity until a signed event explains it; nor does a"
        " period that ends among the readings of the day before which the fall contradicts.",
    ),
    Rule(
        "scale",
        "Change of scale",
        "none",
        "none",
        "Values are compared, not raw words, and each change is shown. A negative step below the coarser resolution"
        " is no reset, and its reading neither counts nor is a boundary. A reading of which one count exceeds"
        " capacity × margin × 24 h is not used.",
    ),
    Rule(
        "commissioned",
        "Before commissioning",
        "none",
        "none",
        "Nothing is counted before the local midnight of the day on which the point was commissioned.",
    ),
    Rule(
        "service",
        "Outside service time",
        "none",
        "none",
        "Nothing is counted for an equipment before the local midnight of its first day in service, nor from that of"
        " its first day out of service.",
    ),
    Rule(
        "energised",
        "Energised hours",
        "counted",
        "counted",
        "Time between two neighbouring GOOD readings above the plan's threshold and at most one and a half intervals"
        " apart (the shorter of the plan's and the edge's) counts, to the millisecond, split exactly at midnight.",
    ),
    Rule(
        "outage",
        "Outage",
        "less",
        "less",
        "Time beside a GOOD reading at or below the threshold is no energised time of a credited quantity; of a debited"
        " one it counts unless the readings at both its ends are at or below it.",
    ),
    Rule(
        "energised-gap",
        "Measurement gap of energised hours",
        "less",
        "counted",
        "Between GOOD readings further apart, before the first and after the last nobody knows the voltage: a credited"
        " quantity counts nothing of it, a debited one all.",
    ),
    Rule(
        "open",
        "Period not over at the cut",
        "less",
        "counted",
        "Every quantity ends at the last instant for which all points have a GOOD reading.",
    ),
    Rule(
        "rounding",
        "Rounding",
        "less",
        "less",
        "Once for each calendar year, towards minus infinity, to whole tonnes; never a part of the way.",
    ),
)


def table_sha256() -> str:
    """The hash (hex) of the table and its constants, by which statements name it."""
    constants = [RULES_VERSION, str(CAPACITY_MARGIN), str(PHANTOM_LIMIT_MS), str(GAP_INTERVALS)]
    return hashlib.sha256(msgspec.json.encode([constants, RULES])).hexdigest()


def rule(key: str) -> Rule:
    """The rule of that key."""
    return next(rule for rule in RULES if rule.key == key)
