"""Which leaves of an evidence log were forgone by a recorded decision (I11), and what a pack says of them."""

from __future__ import annotations

import json

from hakari.errors import Refused
from hakari.names import Origin
from hakari.store.evidence import FORGONE, Decision, EvidenceLog
from hakari.wire.forgone import MAX_NAME_CHARS, MAX_WHY_CHARS, Forgone, covering

MAX_RANGE = 10_000_000


class ForgoRefused(Refused):
    """The decision cannot be recorded as it was given."""


def forgone_of(log: EvidenceLog, origin: Origin) -> list[Forgone]:
    """Every decision about lost bodies of `origin`, in the order of their recording; what cannot be read is none."""
    return [one for decision in log.decisions(FORGONE, str(origin)) if (one := _forgone(decision)) is not None]


def is_forgone(log: EvidenceLog, origin: Origin, i: int) -> bool:
    """Whether a recorded decision lets leaf `i` of `origin` be kept by its hash alone."""
    return covering(forgone_of(log, origin), i) is not None


def forgo(log: EvidenceLog, origin: Origin, forgone: Forgone) -> None:
    """Records the decision; ForgoRefused where it is about leaves that are stored, or about none.

    Call inside a transaction.
    """
    size = log.head(origin).size
    start, stop = forgone.start, forgone.stop
    if not start < stop <= start + MAX_RANGE:
        raise ForgoRefused(
            f"--start {start} --stop {stop} is no range of 1 to {MAX_RANGE} leaves; stop is not part of it"
        )
    if start < size:
        raise ForgoRefused(
            f"leaves of {origin} up to {size - 1} are stored, so --start {start} would forgo nothing; use {size}"
        )
    if not forgone.who.strip() or not forgone.why.strip():
        raise ForgoRefused("--who and --why must say something: verifiers read them")
    if len(forgone.who) > MAX_NAME_CHARS or len(forgone.why) > MAX_WHY_CHARS:
        raise ForgoRefused(f"--who has at most {MAX_NAME_CHARS} characters, --why {MAX_WHY_CHARS}; shorten them")
    detail = json.dumps({"start": start, "stop": stop}, separators=(",", ":"))
    log.decide(Decision(forgone.at_ms, FORGONE, str(origin), forgone.who, forgone.why, detail))


def _forgone(decision: Decision) -> Forgone | None:
    try:
        told = json.loads(decision.detail)
        return Forgone(int(told["start"]), int(told["stop"]), decision.at_ms, decision.who, decision.why)
    except (ValueError, KeyError, TypeError):
        return None
