"""Re-deriving the evidence log from its leaves: hashes, roots, signatures, frontier and head.

Guaranteed: a log without a problem holds, for each origin, exactly the leaves that its edge signed, in order
and without a hole. Nothing is changed. Source of the tree: RFC 6962 section 2.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from hakari.log.checkpoint import CheckpointInvalid, open_checkpoint
from hakari.log.gone import is_word
from hakari.log.roster import Roster
from hakari.log.tree import EMPTY_ROOT, extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog, StoredLeaf
from hakari.store.forgone import forgone_of
from hakari.wire.envelope import EnvelopeMalformed, inflate
from hakari.wire.forgone import Forgone, covering
from hakari.wire.leaf import LeafMalformed, decode

MAX_PROBLEMS = 1000
UNSIGNED = "when leaves were received, decisions, the quarantine, and leaves cut off at the end of an origin"


class Problem(msgspec.Struct, frozen=True):
    """Something that is not as it must be; `leaf` is absent where it is the origin's head."""

    origin: str
    leaf: int | None
    text: str


class Checked(msgspec.Struct, frozen=True):
    """One origin: leaves looked at, whether it is frozen (I6), whether the roster approves its epoch.

    `forgone` are the leaves without a body and the decisions that let them stand (I11).
    """

    origin: str
    leaves: int
    root: str
    frozen: bool
    approved: bool
    problems: int
    bodiless: int = 0
    forgone: list[Forgone] = []


class Report(msgspec.Struct, frozen=True):
    """Everything that was looked at. At most 1000 problems are listed, all are counted.

    `vouched` says which cosigner's note of a backup the log agrees with and of when, "" where it has none; `unsigned`
    what nobody has signed otherwise.
    """

    origins: list[Checked]
    leaves: int
    problem_count: int
    problems: list[Problem]
    vouched: str = ""
    unsigned: str = UNSIGNED


@dataclass
class _Problems:
    listed: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, origin: Origin, i: int | None, text: str) -> None:
        self.count += 1
        if len(self.listed) < MAX_PROBLEMS:
            self.listed.append(Problem(str(origin), i, text))


def fsck(evidence: EvidenceLog, roster: Roster, progress: Callable[[int], None]) -> Report:
    """Checks every leaf of every origin against `roster`; calls `progress` with the leaves done since the last call."""
    problems = _Problems()
    origins = [_check_origin(evidence, roster, origin, problems, progress) for origin in evidence.origins()]
    return Report(origins, sum(checked.leaves for checked in origins), problems.count, problems.listed)


def _check_origin(
    evidence: EvidenceLog, roster: Roster, origin: Origin, problems: _Problems, progress: Callable[[int], None]
) -> Checked:
    before = problems.count
    head = evidence.head(origin)
    if origin.namespace != roster.namespace:
        problems.add(origin, None, f"its namespace is not {roster.namespace}, which the roster is for")
    decisions = forgone_of(evidence, origin)
    used: dict[Forgone, int] = {}
    frontier: tuple[bytes, ...] = ()
    size = 0
    for stored in evidence.leaves(origin, 0, head.size):
        if stored.i != size:
            break
        body = _body(origin, stored, problems) if stored.deflated else None
        if not stored.deflated:
            forgone = covering(decisions, stored.i)
            if forgone is None:
                problems.add(origin, stored.i, "it has no body, and no decision says that it was forgone")
            else:
                used[forgone] = used.get(forgone, 0) + 1
            if not is_word(roster, origin, stored.i, stored.leaf_hash, stored.gone):
                problems.add(origin, stored.i, "it has no body, and its edge has not signed that it is gone")
        frontier = extend(frontier, size, stored.leaf_hash if body is None else leaf_hash(body))
        size += 1
        _check_checkpoint(origin, stored, root_of(frontier), roster, problems)
        progress(1)
    if size != head.size:
        problems.add(origin, size, f"is missing though the head says {head.size} leaves")
    elif (frontier, root_of(frontier)) != (head.frontier, head.root):
        problems.add(origin, None, "its stored frontier or root is not that of its leaves")
    # Appended meanwhile is fine; the head, read after the leaf, then counts it.
    if evidence.leaf(origin, head.size) is not None and evidence.head(origin).size == head.size:
        problems.add(origin, head.size, f"stands beyond the head of {head.size} leaves")
    root = root_of(frontier) if frontier else EMPTY_ROOT
    approved = roster.approved(origin.edge_id, origin.epoch)
    found = problems.count - before
    return Checked(str(origin), size, root.hex(), head.frozen, approved, found, sum(used.values()), sorted(used))


def _body(origin: Origin, stored: StoredLeaf, problems: _Problems) -> bytes | None:
    """The leaf's body, None when it cannot be had; what is wrong with hash and content is a problem each."""
    try:
        body = inflate(stored.deflated)
    except EnvelopeMalformed as error:
        problems.add(origin, stored.i, str(error))
        return None
    if leaf_hash(body) != stored.leaf_hash:
        problems.add(origin, stored.i, "its stored hash is not that of its body")
    try:
        leaf = decode(body)
    except LeafMalformed as error:
        problems.add(origin, stored.i, str(error))
        return body
    if (leaf.edge, leaf.epoch, leaf.i) != (origin.edge_id, origin.epoch, stored.i):
        problems.add(origin, stored.i, f"its body says it is {leaf.edge} {leaf.epoch}/{leaf.i}")
    return body


def _check_checkpoint(origin: Origin, stored: StoredLeaf, root: bytes, roster: Roster, problems: _Problems) -> None:
    size = stored.i + 1
    key = roster.edge_key(origin.edge_id, origin.epoch, size)
    if key is None:
        problems.add(origin, stored.i, f"the roster has no key of {origin.edge_id} for {origin.epoch}, size {size}")
        return
    try:
        checkpoint = open_checkpoint(stored.checkpoint, key)
    except CheckpointInvalid as error:
        problems.add(origin, stored.i, f"its checkpoint cannot be used: {error}")
        return
    if checkpoint.origin != origin or checkpoint.size != size:
        problems.add(origin, stored.i, f"its checkpoint is that of {checkpoint.origin}, size {checkpoint.size}")
    elif checkpoint.root != root:
        problems.add(origin, stored.i, f"the leaves up to it do not give the root signed for size {size}")
