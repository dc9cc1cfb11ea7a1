"""Checking one log of a pack: every leaf hash, the root that the edge signed, the cosignature, the order of samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from hakari.errors import DataProblem
from hakari.log.checkpoint import Checkpoint, open_checkpoint, origin_of
from hakari.log.mark import open_mark
from hakari.log.roster import Roster
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.pack.layout import names_of, records
from hakari.pack.reader import Pack, Place
from hakari.wire.envelope import inflate
from hakari.wire.leaf import decode

Report = Callable[[str, str], None]


class CheckedLog(NamedTuple):
    """One log as the pack has it: bodies in order, the size and root computed from them, its leaves' hash."""

    origin: Origin
    bodies: list[bytes]
    root: bytes
    leaves_sha256: str
    cosigner: str


def check_log(pack: Pack, place: Place, roster: Roster, report: Report) -> CheckedLog:
    """The log at `place`; everything that is wrong with it goes to `report` (entry, sentence)."""
    names = names_of(*place)
    origin = Origin(roster.namespace, place.edge_id, place.epoch)
    bodies, root = _bodies(pack, names.leaves, report)
    checkpoint = _checkpoint(pack, names.checkpoint, roster, report)
    if not roster.approved(place.edge_id, place.epoch):
        report(names.leaves, f"epoch {place.epoch} of {place.edge_id} is not approved by the roster")
    if checkpoint is not None:
        if checkpoint.origin != origin:
            report(names.checkpoint, f"it is the checkpoint of {checkpoint.origin}, not of {origin}")
        if checkpoint.size != len(bodies):
            report(names.leaves, f"it holds {len(bodies)} leaves, the signed checkpoint covers {checkpoint.size}")
        elif checkpoint.root != root:
            report(names.leaves, "its leaves do not give the root that the edge signed: one is altered or misplaced")
    cosigner = _mark(pack, names.mark, roster, Checkpoint(origin, len(bodies), root), report)
    _check_order(bodies, names.leaves, report)
    digest = hashlib.sha256(pack.contents[names.leaves]).hexdigest()
    return CheckedLog(origin, bodies, root, digest, cosigner)


def _bodies(pack: Pack, name: str, report: Report) -> tuple[list[bytes], bytes]:
    """The bodies, an empty one for a leaf that does not inflate, and their root."""
    bodies: list[bytes] = []
    frontier: tuple[bytes, ...] = ()
    try:
        for i, deflated in enumerate(records(name, pack.contents[name])):
            try:
                bodies.append(inflate(deflated))
            except DataProblem as error:
                report(name, f"leaf {i}: {error}")
                bodies.append(b"")
            frontier = extend(frontier, i, leaf_hash(bodies[-1]))
    except DataProblem as error:
        report(name, str(error))
    return bodies, root_of(frontier)


def _checkpoint(pack: Pack, name: str, roster: Roster, report: Report) -> Checkpoint | None:
    note = pack.bytes_of(name)
    try:
        claimed = origin_of(note)
        size = _claimed_size(note)
        key = roster.edge_key(claimed.edge_id, claimed.epoch, size)
        if key is None:
            report(name, f"the roster names no key of {claimed.edge_id} at epoch {claimed.epoch}, size {size}")
            return None
        return open_checkpoint(note, key)
    except DataProblem as error:
        report(name, str(error))
        return None


def _claimed_size(note: bytes) -> int:
    """The size that a note claims, only for finding the key; 0 where it claims none."""
    lines = note.split(b"\n", 2)
    return int(lines[1]) if len(lines) == 3 and lines[1].isdigit() and len(lines[1]) < 17 else 0


def _mark(pack: Pack, name: str, roster: Roster, wanted: Checkpoint, report: Report) -> str:
    """The cosigner of the log's mark, "" without one."""
    if name not in pack.contents:
        return ""
    try:
        mark = open_mark(pack.bytes_of(name), roster.cosigner_keys())
    except DataProblem as error:
        report(name, str(error))
        return ""
    if mark.checkpoint != wanted:
        report(name, f"it cosigns size {mark.checkpoint.size} of {mark.checkpoint.origin}, not the leaves of this pack")
    return mark.signer


def _check_order(bodies: list[bytes], name: str, report: Report) -> None:
    """Samples of one boot follow its monotonic clock, and a boot that ended does not come back."""
    ended: set[str] = set()
    boot, mono_ms = "", 0
    for i, body in enumerate(bodies):
        try:
            leaf = decode(body)
        except DataProblem:
            continue  # named where the leaf is read
        if not leaf.samples:
            continue
        if leaf.boot != boot:
            ended.add(boot)
            boot, mono_ms = leaf.boot, 0
            if boot in ended:
                report(name, f"leaf {i}: boot {boot} comes back after another one")
        for sample in leaf.samples:
            if sample.mono_ms < mono_ms:
                report(name, f"leaf {i}: monotonic clock goes back from {mono_ms} to {sample.mono_ms} ms in one boot")
            mono_ms = max(mono_ms, sample.mono_ms)
