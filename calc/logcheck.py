"""Checking the logs of a cut, whether in a pack or in the evidence log, before anything in them is believed.

Guaranteed of a log without a problem: its checkpoint is signed by a key that the roster names for this position,
its leaves give exactly that size and root, its samples follow the clock of their boot. What verifying refuses is
refused by locking, since both come here. No more than one leaf is inflated at a time, none before the checkpoint
is verified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

from hakari.errors import DataProblem
from hakari.log.checkpoint import Checkpoint, claimed, open_checkpoint
from hakari.log.gone import is_word
from hakari.log.mark import Mark, open_mark
from hakari.log.roster import Roster
from hakari.log.tree import EMPTY_ROOT, extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.pack.layout import HashOnly, Names
from hakari.wire.envelope import inflate
from hakari.wire.forgone import covering
from hakari.wire.leaf import Leaf, decode
from hakari.wire.rows import carried_leaf

Report = Callable[[str, str], None]


UNKNOWN_FORK = "and no later epoch of its edge is approved; the owner has to find out why and approve one"


class Log(NamedTuple):
    """One log to check: how its parts are called, its checkpoint and mark as signed, its deflated leaves in order.

    Of a leaf whose body nobody has any more, its hash and who decided that stand in its place.
    """

    origin: Origin
    names: Names
    checkpoint: bytes
    mark: bytes | None
    leaves: Callable[[], Iterator[bytes | HashOnly]]


class CheckedLog(NamedTuple):
    """One log as it was found: the size and root computed from its leaves, and whether its edge signed just these.

    `cosigner` is "" and `frozen` False without a good mark. Of `bodiless` leaves there is only the hash.
    """

    log: Log
    size: int
    root: bytes
    signed: bool
    cosigner: str
    frozen: bool
    bodiless: int = 0

    @property
    def origin(self) -> Origin:
        """Which log it is."""
        return self.log.origin

    def bodies(self) -> Iterator[bytes | HashOnly]:
        """The leaves again, one inflated at a time; only of one that is signed."""
        leaves = islice(self.log.leaves(), self.size)
        return (one if isinstance(one, HashOnly) else inflate(one) for one in leaves)


def check_logs(logs: Sequence[Log], roster: Roster, report: Report, *, locked: bool) -> list[CheckedLog]:
    """What was found of each log; everything that is wrong goes to `report` (part, sentence).

    `logs` stand in order of edge and epoch. A period that is to be `locked` needs a mark for each; a frozen one
    counts only if the owner has approved a later epoch of its edge, and so knows of the fork.
    """
    orders: dict[str, _Order] = {}
    checked = []
    for log in logs:
        is_source = log.origin.edge_id in roster.sources
        order = orders.setdefault(log.origin.edge_id, _Order(report, is_source=is_source))
        found = _check(log, roster, order, report)
        checked.append(found)
        if locked and not found.cosigner:
            report(log.names.mark, f"{log.origin} at size {found.size} has no mark of ingest, so it cannot be locked")
        if locked and found.frozen and not fork_is_known(roster, log.origin):
            report(log.names.mark, f"{log.origin} is frozen because of a conflict {UNKNOWN_FORK}")
    for order in orders.values():
        order.check()
    return checked


def fork_is_known(roster: Roster, origin: Origin) -> bool:
    """Whether the owner approved an epoch after this one: nobody does so without asking why it was opened."""
    return any(one.edge == origin.edge_id and one.epoch > origin.epoch for one in roster.epochs)


def left_out(roster: Roster, edge_ids: Iterable[str], end_ms: int, held: Iterable[Origin]) -> list[Origin]:
    """Approved epochs of these edges that began before `end_ms` and are not `held`."""
    known, edges = set(held), frozenset(edge_ids)
    wanted = (
        Origin(roster.namespace, approved.edge, approved.epoch)
        for approved in roster.epochs
        if approved.edge in edges and approved.epoch * 1000 < end_ms
    )
    return sorted(origin for origin in wanted if origin not in known)


def _check(log: Log, roster: Roster, order: _Order, report: Report) -> CheckedLog:
    origin, names = log.origin, log.names
    approved = roster.approved(origin.edge_id, origin.epoch)
    if not approved:
        report(names.leaves, f"epoch {origin.epoch} of {origin.edge_id} is not approved by the roster")
    checkpoint = _checkpoint(log, roster, report)
    if checkpoint is None:
        return CheckedLog(log, 0, EMPTY_ROOT, signed=False, cosigner="", frozen=False)
    size, root = _read(log, checkpoint, order, report, roster)
    signed = (size, root) == (checkpoint.size, checkpoint.root)
    if size == checkpoint.size and not signed:
        report(names.leaves, "its leaves do not give the root that the edge signed: one is altered or misplaced")
    mark = _mark(log, roster, Checkpoint(origin, size, root), report)
    cosigner, frozen = ("", False) if mark is None else (mark.signer, mark.frozen)
    return CheckedLog(log, size, root, signed and approved, cosigner, frozen, order.skipped(origin.epoch))


def _read(log: Log, checkpoint: Checkpoint, order: _Order, report: Report, roster: Roster) -> tuple[int, bytes]:
    """Size and root of the leaves, as far as they can be read and no further than the edge signed."""
    frontier: tuple[bytes, ...] = ()
    size = 0
    try:
        for one in log.leaves():
            if size == checkpoint.size:
                report(log.names.leaves, f"it holds more leaves than the {size} that the signed checkpoint covers")
                return size + 1, root_of(frontier)
            if isinstance(one, HashOnly):
                if covering([one.forgone], size) is None:
                    report(log.names.leaves, f"leaf {size} has no body, and the decision given for it is of others")
                if not is_word(roster, log.origin, size, one.leaf_hash, one.word):
                    report(log.names.leaves, f"leaf {size} has no body, and its edge has not signed that it is gone")
                frontier = extend(frontier, size, one.leaf_hash)
                order.skip(log, size)
            else:
                body = inflate(one)
                frontier = extend(frontier, size, leaf_hash(body))
                order.add(log, size, body)
            size += 1
    except DataProblem as error:
        report(log.names.leaves, f"leaf {size}: {error}")
        return size, root_of(frontier)
    if size != checkpoint.size:
        report(log.names.leaves, f"it holds {size} leaves, the signed checkpoint covers {checkpoint.size}")
    return size, root_of(frontier)


def _checkpoint(log: Log, roster: Roster, report: Report) -> Checkpoint | None:
    """The checkpoint, if a key that the roster names signed it for this log."""
    name = log.names.checkpoint
    try:
        origin, size, _ = claimed(log.checkpoint)
        key = roster.edge_key(origin.edge_id, origin.epoch, size)
        if origin != log.origin:
            report(name, f"it is the checkpoint of {origin}, not of {log.origin}")
        elif key is None:
            report(name, f"the roster names no key of {origin.edge_id} at epoch {origin.epoch}, size {size}")
        else:
            return open_checkpoint(log.checkpoint, key)
    except DataProblem as error:
        report(name, str(error))
    return None


def _mark(log: Log, roster: Roster, wanted: Checkpoint, report: Report) -> Mark | None:
    if log.mark is None:
        return None
    try:
        mark = open_mark(log.mark, roster.cosigner_keys())
    except DataProblem as error:
        report(log.names.mark, str(error))
        return None
    if mark.checkpoint != wanted:
        report(log.names.mark, f"it cosigns size {mark.checkpoint.size} of {mark.checkpoint.origin}, not these leaves")
    return mark


class _Run(NamedTuple):
    """Samples of one boot that follow one another: from where, and their first and last monotonic time."""

    epoch: int
    i: int
    boot: str
    first_ms: int
    last_ms: int
    part: str
    where: str


class _Order:
    """The samples of one edge in the order in which they were signed, a carried leaf's where it first stood.

    Samples of one boot follow its monotonic clock, and a boot that ended does not come back. A log of ingest's own
    has no such clock: what was given comes in any order of time.
    """

    def __init__(self, report: Report, *, is_source: bool = False) -> None:
        self._is_source = is_source
        self._report = report
        self._sizes: dict[int, int] = {}
        self._skipped: Counter[int] = Counter()
        self._held: list[_Run] = []
        self._carried: dict[tuple[int, int], _Run] = {}

    def add(self, log: Log, i: int, body: bytes) -> None:
        """Takes leaf `i` of a log; one that cannot be read is named where it is read for its figures."""
        self._sizes[log.origin.epoch] = i + 1
        try:
            leaf = decode(body)
            run = self._run(leaf, (log.origin.epoch, i), log.names.leaves, f"leaf {i}")
            if run is not None:
                self._hold(run)
            carried = carried_leaf(leaf)
        except DataProblem:
            return
        if carried is not None:
            place = (carried.epoch, carried.i)
            run = self._run(carried, place, log.names.leaves, f"leaf {i}, which carries {carried.epoch}/{carried.i}")
            if run is not None:
                self._carried.setdefault(place, run)

    def skip(self, log: Log, i: int) -> None:
        """Passes over leaf `i`, which has no body."""
        self._sizes[log.origin.epoch] = i + 1
        self._skipped[log.origin.epoch] += 1

    def skipped(self, epoch: int) -> int:
        """How many leaves of `epoch` have no body."""
        return self._skipped[epoch]

    def check(self) -> None:
        """Reports what is out of order, once all leaves were taken."""
        ended: set[str] = set()
        boot, last_ms = "", 0
        # A copy of a leaf that is held counts where it is held; one of a restored disk belongs to no order there.
        carried = (run for (epoch, i), run in self._carried.items() if i >= self._sizes.get(epoch, 0))
        for run in sorted([*self._held, *carried]):
            if run.boot != boot:
                ended.add(boot)
                if run.boot in ended:
                    self._report(run.part, f"{run.where}: boot {run.boot} comes back after another one")
                boot, last_ms = run.boot, 0
            if run.first_ms < last_ms:
                self._back(run, last_ms, run.first_ms)
            last_ms = max(last_ms, run.last_ms)

    def _run(self, leaf: Leaf, place: tuple[int, int], part: str, where: str) -> _Run | None:
        times = [sample.mono_ms for sample in leaf.samples]
        if not times or self._is_source:
            return None
        run = _Run(*place, leaf.boot, times[0], max(times), part, where)
        for before, after in pairwise(times):
            if after < before:
                self._back(run, before, after)
        return run

    def _hold(self, run: _Run) -> None:
        """Keeps a run, as part of the one before where it goes on with it."""
        before = self._held[-1] if self._held else None
        if (
            before is not None
            and (before.epoch, before.boot) == (run.epoch, run.boot)
            and run.first_ms >= before.last_ms
        ):
            self._held[-1] = before._replace(last_ms=run.last_ms)
        else:
            self._held.append(run)

    def _back(self, run: _Run, before_ms: int, after_ms: int) -> None:
        text = f"{run.where}: monotonic clock goes back from {before_ms} to {after_ms} ms in one boot"
        self._report(run.part, text)
