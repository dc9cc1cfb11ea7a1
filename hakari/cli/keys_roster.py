"""`hakari keys roster …`: writes, extends and shows the signed roster, each time with the next serial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from hakari.cli.keys_options import (
    OwnerGiven,
    as_json_option,
    edge_id_of,
    edge_option,
    key_option,
    roster_argument,
    roster_options,
)
from hakari.cli.output import show, table
from hakari.log import rosterfile
from hakari.log.publicfile import edge_public_of, verifier_of
from hakari.log.roster import ApprovedEpoch, EdgeKey, NamedKey, Roster
from hakari.names import check_namespace

_EXAMPLE = """\b
Example:
  hakari keys roster new roster.note --owner owner.pem
    --namespace plant.example
    --edge sola-e1=sola-e1.pem.pub --epoch sola-e1=1790000000
    --cosigner ingest.pem.pub --statement-key calc.pem.pub
"""


@click.group()
def roster() -> None:
    """Write, extend and show the signed roster.

    The roster says which edge keys hold, which epochs may be credited, whose marks edges trust and whose
    statements verifiers trust. Every change is signed by the owner with the next serial number.
    """


@roster.command(epilog=_EXAMPLE)
@roster_options
@click.option("--namespace", required=True, help="Domain name of the plant's owner, such as plant.example.")
@click.option("--edge", "edges", multiple=True, metavar="EDGE=KEY", help="An edge and its .pub file or text.")
@click.option("--epoch", "epochs", multiple=True, metavar="EDGE=EPOCH", help="An epoch to approve.")
@click.option("--cosigner", "cosigners", multiple=True, metavar="KEY", help="Ingest's .pub file or text.")
@click.option("--statement-key", "statements", multiple=True, metavar="KEY", help="Calc's .pub file or text.")
def new(
    *,
    roster_file: Path,
    owner: OwnerGiven,
    namespace: str,
    edges: tuple[str, ...],
    epochs: tuple[str, ...],
    cosigners: tuple[str, ...],
    statements: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write the first roster, serial 1, to a new file.

    Every option may be given more than once; what is missing can be added later. EDGE=EPOCH approves an
    epoch: its number is the time in UTC seconds at which the edge opened it.
    """
    check_namespace(namespace)
    parts = (
        [EdgeKey(edge_id, edge_public_of(key)) for edge_id, key in map(_pair, edges)],
        [ApprovedEpoch(edge_id, _number(epoch)) for edge_id, epoch in map(_pair, epochs)],
        [_named(key) for key in cosigners],
        [_named(key) for key in statements],
    )
    first = rosterfile.create(roster_file, lambda: Roster(namespace, 1, *parts), owner.signer())
    _say(roster_file, first, as_json)


@roster.command(name="show")
@roster_argument
@click.option("--owner-key", required=True, metavar="KEY", help="The owner's .pub file, or its text.")
@as_json_option
def show_roster(roster_file: Path, owner_key: str, as_json: bool) -> None:
    """Verify a roster and print what it says."""
    found = rosterfile.read(roster_file, verifier_of(owner_key))
    lines = [_summary(roster_file, found), ""]
    edges = [(key.edge, key.key, _position(key.start), _until(key)) for key in found.edges]
    lines.append(table(("edge", "public key", "from epoch/size", "until epoch/size"), edges))
    lines += ["", table(("edge", "approved epoch"), found.epochs, right=(1,))]
    named = [("cosigner", *key) for key in found.cosigners] + [("statement", *key) for key in found.statement_keys]
    named += [("configurer", *key) for key in found.configurers] + [("source", one, "") for one in found.sources]
    lines += ["", table(("purpose", "name", "verifier key"), named)]
    show(found.content(), "\n".join(lines), as_json)


@roster.command()
@roster_options
@edge_option
@click.option("--key", "key_text", required=True, metavar="KEY", help="The edge's .pub file, or its base64 text.")
@click.option("--from-epoch", default=0, show_default=True, help="First epoch that the key signs.")
@click.option("--from-size", default=0, show_default=True, help="First checkpoint size in that epoch.")
def add_edge(
    *,
    roster_file: Path,
    owner: OwnerGiven,
    edge_id: str,
    key_text: str,
    from_epoch: int,
    from_size: int,
    as_json: bool,
) -> None:
    """Let a key sign for an edge."""
    added = EdgeKey(edge_id_of(edge_id), edge_public_of(key_text), from_epoch, from_size)
    _amend(
        roster_file,
        owner,
        lambda old: old.following(edges=[*old.edges, added]),
        as_json,
    )


@roster.command()
@roster_options
@edge_option
@click.option("--epoch", required=True, type=int, help="Last epoch in which the key signs.")
@click.option("--size", required=True, type=int, help="Last checkpoint size in that epoch that the key signs.")
def end_edge_key(
    *,
    roster_file: Path,
    owner: OwnerGiven,
    edge_id: str,
    epoch: int,
    size: int,
    as_json: bool,
) -> None:
    """End an edge's present key after a checkpoint.

    For a key that was stolen, lost or replaced. Checkpoints up to and with this epoch and size stay valid.
    Add the new key with `add-edge` and the position after it.
    """
    _amend(
        roster_file,
        owner,
        lambda old: old.ended(edge_id, epoch, size),
        as_json,
    )


_EPOCH = click.option("--epoch", required=True, type=int, help="The epoch in which the key ends: `hakari log list`.")
_FROM_LEAF = click.option(
    "--from-leaf", required=True, type=click.IntRange(0), help="The first leaf of it that the key may not sign."
)


@roster.command()
@roster_options
@edge_option
@_EPOCH
@_FROM_LEAF
def revoke(roster_file: Path, owner: OwnerGiven, edge_id: str, epoch: int, from_leaf: int, as_json: bool) -> None:
    """Refuse what an edge's present key signs from a leaf on.

    For a stolen key. Leaves before it stay valid; ingest refuses this leaf and all later ones, in this and later
    epochs, seconds after it has the new roster. Then keep the thief from the broker too:
    `hakari keys authority revoke`. A new key is let in with `rotate` or `admit`, from the same leaf on.
    """
    _amend(roster_file, owner, lambda old: old.ended(edge_id_of(edge_id), epoch, from_leaf), as_json)


@roster.command()
@roster_options
@edge_option
@key_option("edge's new key")
@_EPOCH
@_FROM_LEAF
def rotate(
    *, roster_file: Path, owner: OwnerGiven, edge_id: str, key_text: str, epoch: int, from_leaf: int, as_json: bool
) -> None:
    """Let a new key of an edge sign from a leaf on, and the present one no longer.

    Stop the edge first: `hakari edge status` then says epoch and leaves, and that number of leaves is --from-leaf.
    Give the edge the new roster and key file before it starts again.
    """
    public = edge_public_of(key_text)

    def change(old: Roster) -> Roster:
        ended = old.ended(edge_id_of(edge_id), epoch, from_leaf)
        added = EdgeKey(edge_id, public, epoch, from_leaf + 1)
        return old.following(edges=[*ended.edges, added])

    _amend(roster_file, owner, change, as_json)


@roster.command()
@roster_options
@edge_option
@click.option("--epoch", required=True, type=int, help="The epoch's number: UTC seconds at which it was opened.")
def approve_epoch(
    roster_file: Path,
    owner: OwnerGiven,
    edge_id: str,
    epoch: int,
    as_json: bool,
) -> None:
    """Let an epoch of an edge be credited.

    Ask first why the edge opened it: its leaf 0 names the reason and the mark that it follows.
    """
    added = ApprovedEpoch(edge_id_of(edge_id), epoch)
    _amend(
        roster_file,
        owner,
        lambda old: old.following(epochs=[*old.epochs, added]),
        as_json,
    )


@roster.command()
@roster_options
@key_option("cosigner")
def add_cosigner(roster_file: Path, owner: OwnerGiven, key_text: str, as_json: bool) -> None:
    """Let edges trust one more ingest key."""
    added = _named(key_text)
    _amend(roster_file, owner, lambda old: old.following(cosigners=[*old.cosigners, added]), as_json)


@roster.command()
@roster_options
@key_option("statement key")
def add_statement_key(roster_file: Path, owner: OwnerGiven, key_text: str, as_json: bool) -> None:
    """Let verifiers trust one more calc key."""
    added = _named(key_text)
    _amend(roster_file, owner, lambda old: old.following(statement_keys=[*old.statement_keys, added]), as_json)


@roster.command()
@roster_options
@key_option("configurer")
def add_configurer(roster_file: Path, owner: OwnerGiven, key_text: str, as_json: bool) -> None:
    """Let edges take configuration and diagnostics requests that this key has signed."""
    added = _named(key_text)
    _amend(roster_file, owner, lambda old: old.following(configurers=[*old.configurers, added]), as_json)


@roster.command()
@roster_options
@edge_option
def add_source(roster_file: Path, owner: OwnerGiven, edge_id: str, as_json: bool) -> None:
    """Mark an edge id as a log of ingest's own: its readings were received, imported or declared, never measured.

    Add its key first (`add-edge`).
    """
    _amend(roster_file, owner, lambda old: old.following(sources=[*old.sources, edge_id_of(edge_id)]), as_json)


def _named(given: str) -> NamedKey:
    key = verifier_of(given)
    return NamedKey(key.name, str(key))


def _pair(text: str) -> tuple[str, str]:
    edge_id, found, value = text.partition("=")
    if not found:
        raise click.UsageError(f"{text!r} is not EDGE=VALUE, such as sola-e1=sola-e1.pem.pub")
    return edge_id_of(edge_id), value


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**53)):
        raise click.UsageError(f"epoch {text[:80]!r} is not a number of UTC seconds")
    return int(text)


def _amend(path: Path, owner: OwnerGiven, change: Callable[[Roster], Roster], as_json: bool) -> None:
    _say(path, rosterfile.amend(path, owner.signer(), change), as_json)


def _say(path: Path, signed: Roster, as_json: bool) -> None:
    show(signed.content(), _summary(path, signed), as_json)


def _summary(path: Path, signed: Roster) -> str:
    return (
        f"{path}: {signed.namespace}, serial {signed.serial}, edge keys {len(signed.edges)},"
        f" approved epochs {len(signed.epochs)}, cosigners {len(signed.cosigners)},"
        f" statement keys {len(signed.statement_keys)}"
    )


def _position(position: tuple[int, int]) -> str:
    return f"{position[0]}/{position[1]}"


def _until(key: EdgeKey) -> str:
    return "" if key.until_epoch is None else _position(key.end)
