"""`hakari keys`: makes key files and the signed roster. A private key never leaves its file.

Every key command writes FILE (private, mode 0600) and FILE.pub (one line of public text); neither is ever
overwritten. The roster commands read that public text, verify the old roster and sign the next serial.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.cli.installation import broker_user, set_up
from hakari.cli.output import error_object, show, table
from hakari.errors import HakariError
from hakari.log import keyfile, publicfile, rosterfile
from hakari.log.mark import Cosigner
from hakari.log.note import SigningKey, is_name
from hakari.log.publicfile import PublicKeyInvalid, edge_public_of, verifier_of
from hakari.log.roster import ApprovedEpoch, EdgeKey, NamedKey, Roster
from hakari.names import BadName, check_edge_id, check_namespace

Command = Callable[..., None]

_EXAMPLE = """\b
Example:
  hakari keys roster new roster.note --owner owner.pem
    --namespace plant.example
    --edge sola-e1=sola-e1.pem.pub --epoch sola-e1=1790000000
    --cosigner ingest.pem.pub --statement-key calc.pem.pub
"""


class _Keys(click.Group):
    """A group that also ends with the right exit code when it is called without the root command."""

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401 - Click's own signature
        """Click's own, with a HakariError as one sentence and its exit code."""
        try:
            return super().main(*args, **extra)
        except HakariError as error:
            as_json = "--json" in extra.get("args", sys.argv)
            sentence = error_object(str(error), error.exit_code) if as_json else f"error: {error}"
            click.echo(sentence, err=True)
            sys.exit(error.exit_code)


def _json(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def _out(command: Command) -> Command:
    text = "New private key file; its public text goes to FILE.pub. Neither may exist."
    return click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help=text)(command)


def _name(command: Command) -> Command:
    text = "Name that stands in signatures, such as plant.example/owner: no spaces, no plus sign."
    return click.option("--name", required=True, help=text)(command)


def _roster(command: Command) -> Command:
    owner = click.option(
        "--owner", "owner_file", required=True, metavar="FILE", help="The owner's private key file.",
        type=click.Path(path_type=Path),
    )  # fmt: skip
    name = click.option("--owner-name", metavar="NAME", help="The owner's name; without it FILE.pub says it.")
    return _roster_file(owner(name(_json(command))))


def _roster_file(command: Command) -> Command:
    return click.argument("roster_file", metavar="ROSTER", type=click.Path(path_type=Path))(command)


def _edge(command: Command) -> Command:
    return click.option("--edge", "edge_id", required=True, metavar="EDGE", help="Edge id, such as sola-e1.")(command)


def _vkey(what: str) -> Callable[[Command], Command]:
    text = f"The {what}'s .pub file, or its text."
    return click.option("--key", "key_text", required=True, metavar="KEY", help=text)


@click.group(cls=_Keys, context_settings={"help_option_names": ["-h", "--help"]})
def keys() -> None:
    """Create keys and sign the roster.

    The owner's key stays off the plant's machines. Order of work: `owner` once; `edge` on each device;
    `cosigner` where ingest runs; `statement` where calc runs; then `roster new` with their .pub files.
    Give the roster and the owner's .pub file to every room and to the verifier. `set-up` does all of it at
    once for an installation on one machine.
    """


keys.add_command(set_up)
keys.add_command(broker_user)


@keys.command()
@_out
@_name
@_json
def owner(out: Path, name: str, as_json: bool) -> None:
    """Create the owner key, which signs the roster.

    It signs nothing else. Prints the verifier key: print it in the contract or project document, since
    everything is trusted because of this one line. Keep FILE off-line.
    """
    _make(out, lambda private: str(SigningKey(name, private).verifier), as_json, name)


@keys.command()
@_out
@_json
def edge(out: Path, as_json: bool) -> None:
    """Create the key of one edge.

    Run it on the device that will use the key: it never leaves that device. Prints the public key in
    base64 for `roster add-edge`.
    """
    _make(out, lambda private: base64.b64encode(keyfile.public_bytes(private)).decode(), as_json)


@keys.command()
@_out
@_name
@_json
def cosigner(out: Path, name: str, as_json: bool) -> None:
    """Create ingest's key, which signs stored marks.

    A mark tells an edge what is safely stored, so that it need not send it again. Prints the verifier
    key for `roster add-cosigner`.
    """
    _make(out, lambda private: str(Cosigner(name, private).verifier), as_json, name)


@keys.command()
@_out
@_name
@_json
def statement(out: Path, name: str, as_json: bool) -> None:
    """Create the key that signs statements.

    A statement is the signed record of a locked period. Prints the verifier key for `roster add-statement-key`.
    """
    _make(out, lambda private: str(SigningKey(name, private).verifier), as_json, name)


@keys.group()
def roster() -> None:
    """Write, extend and show the signed roster.

    The roster says which edge keys hold, which epochs may be credited, whose marks edges trust and whose
    statements verifiers trust. Every change is signed by the owner with the next serial number.
    """


@roster.command(epilog=_EXAMPLE)
@_roster
@click.option("--namespace", required=True, help="Domain name of the plant's owner, such as plant.example.")
@click.option("--edge", "edges", multiple=True, metavar="EDGE=KEY", help="An edge and its .pub file or text.")
@click.option("--epoch", "epochs", multiple=True, metavar="EDGE=EPOCH", help="An epoch to approve.")
@click.option("--cosigner", "cosigners", multiple=True, metavar="KEY", help="Ingest's .pub file or text.")
@click.option("--statement-key", "statements", multiple=True, metavar="KEY", help="Calc's .pub file or text.")
def new(  # noqa: PLR0913 - one option a part of the roster
    *,
    roster_file: Path,
    owner_file: Path,
    owner_name: str | None,
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
    first = rosterfile.create(roster_file, lambda: Roster(namespace, 1, *parts), _owner(owner_file, owner_name))
    _say(roster_file, first, as_json)


@roster.command(name="show")
@_roster_file
@click.option("--owner-key", required=True, metavar="KEY", help="The owner's .pub file, or its text.")
@_json
def show_roster(roster_file: Path, owner_key: str, as_json: bool) -> None:
    """Verify a roster and print what it says."""
    found = rosterfile.read(roster_file, verifier_of(owner_key))
    lines = [_summary(roster_file, found), ""]
    edges = [(key.edge, key.key, _position(key.start), _until(key)) for key in found.edges]
    lines.append(table(("edge", "public key", "from epoch/size", "until epoch/size"), edges))
    lines += ["", table(("edge", "approved epoch"), found.epochs, right=(1,))]
    named = [("cosigner", *key) for key in found.cosigners] + [("statement", *key) for key in found.statement_keys]
    lines += ["", table(("purpose", "name", "verifier key"), named)]
    show(found.content(), "\n".join(lines), as_json)


@roster.command()
@_roster
@_edge
@click.option("--key", "key_text", required=True, metavar="KEY", help="The edge's .pub file, or its base64 text.")
@click.option("--from-epoch", default=0, show_default=True, help="First epoch that the key signs.")
@click.option("--from-size", default=0, show_default=True, help="First checkpoint size in that epoch.")
def add_edge(
    *,
    roster_file: Path,
    owner_file: Path,
    owner_name: str | None,
    edge_id: str,
    key_text: str,
    from_epoch: int,
    from_size: int,
    as_json: bool,
) -> None:
    """Let a key sign for an edge."""
    added = EdgeKey(_edge_id(edge_id), edge_public_of(key_text), from_epoch, from_size)
    _amend(roster_file, _owner(owner_file, owner_name), lambda old: old.following(edges=[*old.edges, added]), as_json)


@roster.command()
@_roster
@_edge
@click.option("--epoch", required=True, type=int, help="Last epoch in which the key signs.")
@click.option("--size", required=True, type=int, help="Last checkpoint size in that epoch that the key signs.")
def end_edge_key(
    *,
    roster_file: Path,
    owner_file: Path,
    owner_name: str | None,
    edge_id: str,
    epoch: int,
    size: int,
    as_json: bool,
) -> None:
    """End an edge's present key after a checkpoint.

    For a key that was stolen, lost or replaced. Checkpoints up to and with this epoch and size stay valid.
    Add the new key with `add-edge` and the position after it.
    """
    _amend(roster_file, _owner(owner_file, owner_name), lambda old: old.ended(edge_id, epoch, size), as_json)


@roster.command()
@_roster
@_edge
@click.option("--epoch", required=True, type=int, help="The epoch's number: UTC seconds at which it was opened.")
def approve_epoch(
    roster_file: Path, owner_file: Path, owner_name: str | None, edge_id: str, epoch: int, as_json: bool
) -> None:
    """Let an epoch of an edge be credited.

    Ask first why the edge opened it: its leaf 0 names the reason and the mark that it follows.
    """
    added = ApprovedEpoch(_edge_id(edge_id), epoch)
    _amend(roster_file, _owner(owner_file, owner_name), lambda old: old.following(epochs=[*old.epochs, added]), as_json)


@roster.command()
@_roster
@_vkey("cosigner")
def add_cosigner(roster_file: Path, owner_file: Path, owner_name: str | None, key_text: str, as_json: bool) -> None:
    """Let edges trust one more ingest key."""
    added = _named(key_text)
    owner_key = _owner(owner_file, owner_name)
    _amend(roster_file, owner_key, lambda old: old.following(cosigners=[*old.cosigners, added]), as_json)


@roster.command()
@_roster
@_vkey("statement key")
def add_statement_key(
    roster_file: Path, owner_file: Path, owner_name: str | None, key_text: str, as_json: bool
) -> None:
    """Let verifiers trust one more calc key."""
    added = _named(key_text)
    owner_key = _owner(owner_file, owner_name)
    _amend(roster_file, owner_key, lambda old: old.following(statement_keys=[*old.statement_keys, added]), as_json)


def _make(out: Path, public_text: Callable[[Ed25519PrivateKey], str], as_json: bool, name: str | None = None) -> None:
    public_file = publicfile.beside(out)
    if name is not None:
        _check_name(name)
    if public_file.exists():
        raise keyfile.KeyFileExists(f"file {public_file} exists and is not overwritten; choose another name or move it")
    text = public_text(keyfile.create(out))
    publicfile.write(public_file, text)
    show({"key": text, "name": name, "private_file": str(out), "public_file": str(public_file)}, text, as_json)


def _check_name(name: str) -> str:
    if not is_name(name):
        raise PublicKeyInvalid(f"name {name[:80]!r} must have no space, plus sign or control character")
    return name


def _named(given: str) -> NamedKey:
    key = verifier_of(given)
    return NamedKey(key.name, str(key))


def _owner(path: Path, name: str | None) -> SigningKey:
    """The owner's signing key under `name`, or under the name in its public file, which must fit it."""
    private = keyfile.load(path)
    if name is not None:
        return SigningKey(_check_name(name), private)
    public_file = publicfile.beside(path)
    if not public_file.is_file():
        raise PublicKeyInvalid(f"file {public_file} is missing, so the owner's name is not known; give --owner-name")
    verifier = verifier_of(str(public_file))
    key = SigningKey(verifier.name, private)
    if key.verifier != verifier:
        raise PublicKeyInvalid(f"file {public_file} is not the public key of {path}; give --owner-name")
    return key


def _pair(text: str) -> tuple[str, str]:
    edge_id, found, value = text.partition("=")
    if not found:
        raise click.UsageError(f"{text!r} is not EDGE=VALUE, such as sola-e1=sola-e1.pem.pub")
    return _edge_id(edge_id), value


def _edge_id(text: str) -> str:
    try:
        return check_edge_id(text)
    except BadName as error:
        raise click.UsageError(str(error)) from error


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**53)):
        raise click.UsageError(f"epoch {text[:80]!r} is not a number of UTC seconds")
    return int(text)


def _amend(path: Path, owner_key: SigningKey, change: Callable[[Roster], Roster], as_json: bool) -> None:
    _say(path, rosterfile.amend(path, owner_key, change), as_json)


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
