"""The roster: what the owner vouches for, as one signed note that edges, ingest and verifiers trust.

Guaranteed: a `Roster` that exists is consistent. Every public key in it is usable and serves one purpose,
at most one key of an edge holds at any position, every approved epoch is one of a listed edge. Note text:
`hakari roster v1`, one line of compact ASCII JSON, line feed; it is read only in the form that is written.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from hakari.errors import DataProblem
from hakari.log.note import (
    COSIGNATURE,
    ED25519,
    NoteInvalid,
    Signer,
    VerifierKey,
    check_public,
    decode64,
    open_note,
    sign,
    take_apart,
)
from hakari.log.tree import MAX_SIZE
from hakari.names import MAX_EPOCH, BadName, check_edge_id, check_namespace

HEADER = "hakari roster v1"
MAX_SERIAL = 2**53
MAX_EDGE_KEYS = 10_000
MAX_EPOCHS = 20_000
MAX_NAMED_KEYS = 64

_Value = TypeVar("_Value")


class RosterInvalid(DataProblem):
    """A roster contradicts itself, is not in its one form or is not signed by the owner."""


class EdgeKey(NamedTuple):
    """A key (raw public, base64) that signs checkpoints of `edge` with from ≤ (epoch, size) < until.

    Both `until` numbers are None while the key has no end.
    """

    edge: str
    key: str
    from_epoch: int = 0
    from_size: int = 0
    until_epoch: int | None = None
    until_size: int | None = None

    @property
    def start(self) -> tuple[int, int]:
        """The first (epoch, size) at which the key holds."""
        return self.from_epoch, self.from_size

    @property
    def end(self) -> tuple[int, int]:
        """The first (epoch, size) at which the key no longer holds."""
        if self.until_epoch is None or self.until_size is None:
            return MAX_EPOCH + 1, 0
        return self.until_epoch, self.until_size


class ApprovedEpoch(NamedTuple):
    """An epoch of an edge that may be credited."""

    edge: str
    epoch: int


class NamedKey(NamedTuple):
    """A verifier key (text: name+id+base64) under its own name."""

    name: str
    key: str


@dataclass(frozen=True)
class Roster:
    """Everything that the owner vouches for under `namespace`; `serial` rises with every signature.

    `sources` are those of `edges` whose key ingest itself holds: logs of readings that were received, imported or
    declared, and that can never pass for measured ones. `configurers` sign configuration and diagnostics requests to
    edges. Both are absent from the text while they are empty.
    """

    namespace: str
    serial: int
    edges: Sequence[EdgeKey] = ()
    epochs: Sequence[ApprovedEpoch] = ()
    cosigners: Sequence[NamedKey] = ()
    statement_keys: Sequence[NamedKey] = ()
    sources: Sequence[str] = ()
    configurers: Sequence[NamedKey] = ()

    def __post_init__(self) -> None:
        # Tuples, so that no list that somebody still holds can change what was checked.
        for field in ("edges", "epochs", "cosigners", "statement_keys", "sources", "configurers"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        try:
            _check(self)
        except (BadName, NoteInvalid) as error:
            raise RosterInvalid(f"roster cannot be used: {error}") from error

    def edge_key(self, edge_id: str, epoch: int, size: int) -> bytes | None:
        """The raw public key that signs the checkpoint of `size` in `epoch` of the edge, None where none holds."""
        for start, end, public in self._keys_by_edge.get(edge_id, ()):
            if start <= (epoch, size) < end:
                return public
        return None

    def keys_from(self, edge_id: str, epoch: int, size: int) -> list[bytes]:
        """The raw public keys of the edge that hold at this place or a later one."""
        return [public for _, end, public in self._keys_by_edge.get(edge_id, ()) if (epoch, size) < end]

    def ended_keys(self, edge_id: str, epoch: int, size: int) -> list[tuple[bytes, tuple[int, int]]]:
        """The raw public keys of the edge that no longer hold at this place, each with where it ended."""
        keys = self._keys_by_edge.get(edge_id, ())
        return [(public, end) for _, end, public in keys if end <= (epoch, size)]

    def approved(self, edge_id: str, epoch: int) -> bool:
        """Whether this epoch may be credited."""
        return (edge_id, epoch) in self._approved

    def cosigner_keys(self) -> list[VerifierKey]:
        """The keys whose marks edges trust."""
        return [VerifierKey.parse(named.key) for named in self.cosigners]

    def statement_verifiers(self) -> list[VerifierKey]:
        """The keys whose statements verifiers trust."""
        return [VerifierKey.parse(named.key) for named in self.statement_keys]

    def configurer_keys(self) -> list[VerifierKey]:
        """The keys whose configuration and diagnostics requests edges take."""
        return [VerifierKey.parse(named.key) for named in self.configurers]

    def following(self, **changes: Sequence[NamedTuple] | Sequence[str]) -> Roster:
        """This roster with the next serial and others of its parts, each named by its field."""
        parts: dict[str, Any] = {**changes, "serial": self.serial + 1}
        return replace(self, **parts)

    def ended(self, edge_id: str, epoch: int, size: int) -> Roster:
        """The next roster, in which the edge's key without an end signs nothing after (epoch, size)."""
        edges = [
            key._replace(until_epoch=epoch, until_size=size + 1)
            if key.edge == edge_id and key.until_epoch is None
            else key
            for key in self.edges
        ]
        if edges == list(self.edges):
            raise RosterInvalid(f"edge {edge_id[:80]!r} has no key without an end")
        return self.following(edges=edges)

    def content(self) -> dict[str, object]:
        """The roster as it is written, fields in order."""
        return {
            "namespace": self.namespace,
            "serial": self.serial,
            "edges": [key._asdict() for key in self.edges],
            "epochs": [epoch._asdict() for epoch in self.epochs],
            "cosigners": [key._asdict() for key in self.cosigners],
            "statement_keys": [key._asdict() for key in self.statement_keys],
            **({"sources": list(self.sources)} if self.sources else {}),
            **({"configurers": [key._asdict() for key in self.configurers]} if self.configurers else {}),
        }

    def text(self) -> str:
        """The note text to sign."""
        return f"{HEADER}\n{json.dumps(self.content(), separators=(',', ':'))}\n"

    @classmethod
    def parse(cls, text: str) -> Roster:
        """The roster that `text` writes; RosterInvalid unless writing it again gives the same text."""
        header, _, rest = text.partition("\n")
        if header != HEADER:
            raise RosterInvalid(f"roster begins with {header[:80]!r}, known is {HEADER!r}; update hakari")
        try:
            content = json.loads(rest)
        except (ValueError, RecursionError) as error:
            raise RosterInvalid(f"roster is not JSON: {error}") from error
        roster = cls(
            namespace=_get(content, "namespace", str),
            serial=_get(content, "serial", int),
            edges=[_edge_key(item) for item in _items(content, "edges")],
            epochs=[
                ApprovedEpoch(_get(item, "edge", str), _get(item, "epoch", int)) for item in _items(content, "epochs")
            ],
            cosigners=_named(content, "cosigners"),
            statement_keys=_named(content, "statement_keys"),
            sources=[_text(item) for item in _items(content, "sources")] if "sources" in content else (),
            configurers=_named(content, "configurers") if "configurers" in content else (),
        )
        if roster.text() != text:
            raise RosterInvalid("roster is not in its one form (unknown or repeated field, order or white space)")
        return roster

    @cached_property
    def _keys_by_edge(self) -> dict[str, list[tuple[tuple[int, int], tuple[int, int], bytes]]]:
        found: dict[str, list[tuple[tuple[int, int], tuple[int, int], bytes]]] = {}
        for key in self.edges:
            found.setdefault(key.edge, []).append((key.start, key.end, decode64(key.key, "edge key")))
        return found

    @cached_property
    def _approved(self) -> frozenset[tuple[str, int]]:
        return frozenset((approved.edge, approved.epoch) for approved in self.epochs)


def sign_roster(roster: Roster, owner: Signer) -> bytes:
    """The signed note of `roster`; RosterInvalid when the owner's own key is also listed in it."""
    _check_owner(roster, owner.verifier)
    try:
        return sign(roster.text(), owner)
    except NoteInvalid as error:
        raise RosterInvalid(f"roster cannot be signed: {error}") from error


def open_roster(note: bytes, owner: VerifierKey) -> Roster:
    """The roster in `note`, which bears exactly one signature, by `owner`."""
    try:
        lines = len(take_apart(note).signatures)
        text = open_note(note, [owner])
    except NoteInvalid as error:
        raise RosterInvalid(f"roster is not signed by {owner.name}: {error}") from error
    if lines != 1:
        raise RosterInvalid(f"roster has {lines} signature lines, exactly one is allowed")
    roster = Roster.parse(text)
    _check_owner(roster, owner)
    return roster


def _get(record: object, field: str, kind: type[_Value]) -> _Value:
    value = record.get(field) if isinstance(record, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RosterInvalid(f"roster field {field} is {str(value)[:80]!r}; it must be {kind.__name__}")
    return value


def _items(content: object, field: str) -> list[object]:
    return _get(content, field, list)


def _text(item: object) -> str:
    if not isinstance(item, str):
        raise RosterInvalid(f"roster field sources holds {str(item)[:80]!r}; it must hold edge ids")
    return item


def _edge_key(item: object) -> EdgeKey:
    until = [
        None if isinstance(item, dict) and item.get(field) is None else _get(item, field, int)
        for field in ("until_epoch", "until_size")
    ]
    return EdgeKey(
        _get(item, "edge", str), _get(item, "key", str), _get(item, "from_epoch", int), _get(item, "from_size", int),
        until[0], until[1],
    )  # fmt: skip


def _named(content: object, field: str) -> list[NamedKey]:
    return [NamedKey(_get(item, "name", str), _get(item, "key", str)) for item in _items(content, field)]


def _check(roster: Roster) -> None:
    check_namespace(roster.namespace)
    if not 1 <= roster.serial <= MAX_SERIAL:
        raise RosterInvalid(f"roster serial {roster.serial} is not from 1 to {MAX_SERIAL}")
    if len(roster.edges) > MAX_EDGE_KEYS or len(roster.epochs) > MAX_EPOCHS:
        raise RosterInvalid(
            f"roster has {len(roster.edges)} edge keys (limit {MAX_EDGE_KEYS})"
            f" and {len(roster.epochs)} approved epochs (limit {MAX_EPOCHS})"
        )
    _check_edges(roster.edges)
    _check_epochs(roster)
    _check_named(roster.cosigners, "cosigner", COSIGNATURE)
    _check_named(roster.statement_keys, "statement key", ED25519)
    _check_named(roster.configurers, "configurer", ED25519)
    _check_sources(roster)
    _check_purposes(roster)


def _check_edges(edges: Sequence[EdgeKey]) -> None:
    for key in edges:
        check_edge_id(key.edge)
        check_public(decode64(key.key, f"key of edge {key.edge}"), f"edge {key.edge}")
        if (key.until_epoch is None) != (key.until_size is None):
            raise RosterInvalid(f"key of edge {key.edge} has only one of until_epoch and until_size; give both or none")
        bounds = (key.from_epoch, key.until_epoch or 0, key.from_size, key.until_size or 0)
        if not all(0 <= n <= MAX_EPOCH for n in bounds[:2]) or not all(0 <= n <= MAX_SIZE for n in bounds[2:]):
            raise RosterInvalid(f"key of edge {key.edge} holds from or until a number that is negative or too large")
        if key.start >= key.end:
            raise RosterInvalid(f"key of edge {key.edge} ends at {key.end}, not after its start {key.start}")
    ordered = sorted(edges, key=lambda key: (key.edge, key.start))
    for before, after in itertools.pairwise(ordered):
        if before.edge == after.edge and after.start < before.end:
            raise RosterInvalid(f"two keys of edge {after.edge} hold at {after.start}; end the older one first")


def _check_epochs(roster: Roster) -> None:
    listed = {key.edge for key in roster.edges}
    seen: set[ApprovedEpoch] = set()
    for approved in roster.epochs:
        if approved.edge not in listed:
            raise RosterInvalid(f"epoch {approved.epoch} is of edge {approved.edge!r}, which has no key in the roster")
        if not 0 <= approved.epoch <= MAX_EPOCH:
            raise RosterInvalid(f"epoch {approved.epoch} of edge {approved.edge} is not from 0 to {MAX_EPOCH}")
        if approved in seen:
            raise RosterInvalid(f"epoch {approved.epoch} of edge {approved.edge} is approved already")
        seen.add(approved)


def _check_sources(roster: Roster) -> None:
    listed = {key.edge for key in roster.edges}
    if len(set(roster.sources)) != len(roster.sources):
        raise RosterInvalid("a source is listed twice; list it once")
    for source in roster.sources:
        if source not in listed:
            raise RosterInvalid(f"source {source[:80]!r} has no key in the roster; add its key first")


def _check_named(keys: Sequence[NamedKey], what: str, algorithm: int) -> None:
    if len(keys) > MAX_NAMED_KEYS:
        raise RosterInvalid(f"roster has {len(keys)} {what}s, limit {MAX_NAMED_KEYS}")
    if len({named.name for named in keys}) != len(keys):
        raise RosterInvalid(f"two {what}s have the same name; give each its own")
    for named in keys:
        key = VerifierKey.parse(named.key)
        if key.name != named.name or key.algorithm != algorithm:
            raise RosterInvalid(
                f"{what} {named.name[:80]!r} has the key of {key.name} with signature type {key.algorithm:#04x};"
                f" a {what} needs its own name and type {algorithm:#04x}"
            )


def _check_purposes(roster: Roster) -> None:
    """One key, one purpose: a key listed twice could be made to sign for another."""
    by_public: dict[bytes, str] = {}
    for purpose, public in _purposes(roster):
        if by_public.setdefault(public, purpose) != purpose:
            raise RosterInvalid(f"{purpose} and {by_public[public]} have the same key; make a new one for either")


def _purposes(roster: Roster) -> Iterable[tuple[str, bytes]]:
    for key in roster.edges:
        yield f"edge {key.edge}", decode64(key.key, "edge key")
    for key_of_ingest in roster.cosigner_keys():
        yield f"cosigner {key_of_ingest.name}", key_of_ingest.public
    for key_of_calc in roster.statement_verifiers():
        yield f"statement key {key_of_calc.name}", key_of_calc.public
    for key_of_configurer in roster.configurer_keys():
        yield f"configurer {key_of_configurer.name}", key_of_configurer.public


def _check_owner(roster: Roster, owner: VerifierKey) -> None:
    for purpose, public in _purposes(roster):
        if public == owner.public:
            raise RosterInvalid(f"{purpose} has the owner's own key; make a new one for it")
