"""Whether an opened spool is what was written: looked at once, before anything is signed on it.

What is checked costs the same for a spool of a day and of a year: the small tables as a whole, of the leaves the last
one of each epoch. Every other leaf is checked when it is sent or carried (`SpooledLeaf.body`), a sample when it is cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.spool_schema import SEALED, seal
from hakari.log.checkpoint import CheckpointInvalid, claimed
from hakari.log.tree import EMPTY_ROOT, root_of

if TYPE_CHECKING:
    from edge.spool import EpochState, Spool


def check(spool: Spool) -> None:
    """Returns when the spool can be signed on, else raises SpoolDamaged (or SpoolFailed) with what to do."""
    if not spool.has_its_tables():
        raise spool.damaged("its tables are not described as they were made")
    for table in SEALED:
        found = spool.structure(table)
        if found != "ok":
            raise spool.damaged(f"its table {table} is broken: {found}")
    states = spool.epochs()
    for state in states:
        problem = _problem(spool, state)
        if problem:
            raise spool.damaged(f"epoch {state.epoch}: {problem}")
    if states and states[-1].closed:
        raise spool.damaged(f"its newest epoch {states[-1].epoch} is closed, and nothing followed it")
    for epoch, i, sealed, there in spool.carry_rows():
        if sealed != seal(epoch, i) or not there:
            raise spool.damaged(f"what is to be carried is not what was written ({epoch}/{i})")


def _problem(spool: Spool, state: EpochState) -> str:
    if (root_of(state.frontier) if state.size else EMPTY_ROOT) != state.root:
        return "its root does not follow from its frontier"
    if not 0 <= state.mark <= state.high <= state.size:
        return f"it holds {state.size} leaves and a mark of {state.mark}"
    if spool.leaf(state.epoch, state.size) is not None:
        return f"leaf {state.size} is there already"
    return _of_the_last_leaf(spool, state) if state.size else ""


def _of_the_last_leaf(spool: Spool, state: EpochState) -> str:
    last = spool.leaf(state.epoch, state.size - 1)
    if last is None:
        return f"its last leaf {state.size - 1} is not there"
    if not last.whole:
        return ""  # it is told and never sent; the frontier stands without it
    try:
        said = claimed(last.checkpoint)
    except CheckpointInvalid as error:
        return str(error)
    told = (last.root, said.root, said.size, said.origin.epoch)
    return "" if told == (state.root, state.root, state.size, state.epoch) else "its last checkpoint is of another root"
