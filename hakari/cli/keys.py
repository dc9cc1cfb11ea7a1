"""`hakari keys`: makes key files and the signed roster. A private key never leaves its file.

Every key command writes FILE (private, mode 0600) and FILE.pub (one line of public text); neither is ever
overwritten. The roster commands read that public text, verify the old roster and sign the next serial.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.cli.installation import broker_user, set_up
from hakari.cli.keys_authority import authority
from hakari.cli.keys_enrol import admit, invite
from hakari.cli.keys_options import (
    EndingGroup,
    as_json_option,
    check_name,
    name_option,
    new_passphrase,
    out_option,
    secret_option,
)
from hakari.cli.keys_owner import check_owner, put_in_token
from hakari.cli.keys_roster import roster
from hakari.cli.output import show
from hakari.log import keyfile, keystore, publicfile
from hakari.log.mark import Cosigner
from hakari.log.note import SigningKey


@click.group(cls=EndingGroup, context_settings={"help_option_names": ["-h", "--help"]})
def keys() -> None:
    """Create keys and sign the roster.

    The owner's key stays off the plant's machines. Order of work: `owner` once; `edge` on each device;
    `cosigner` where ingest runs; `statement` where calc runs; then `roster new` with their .pub files.
    Give the roster and the owner's .pub file to every room and to the verifier. `set-up` does all of it at
    once for an installation on one machine.
    """


keys.add_command(set_up)
keys.add_command(broker_user)
keys.add_command(roster)
keys.add_command(authority)
keys.add_command(invite)
keys.add_command(admit)
keys.add_command(put_in_token)
keys.add_command(check_owner)


@keys.command()
@out_option
@name_option
@click.option("--encrypt", is_flag=True, help="Keep it under a passphrase, which is asked for twice.")
@secret_option
@as_json_option
def owner(*, out: Path, name: str, encrypt: bool, secret_file: Path | None, as_json: bool) -> None:
    """Create the owner key, which signs the roster.

    It signs nothing else. Prints the verifier key: print it in the contract or project document, since
    everything is trusted because of this one line. Keep FILE off-line.
    """
    passphrase = new_passphrase(secret_file) if encrypt or secret_file is not None else None
    create = keyfile.create if passphrase is None else lambda path: keystore.create_encrypted(path, passphrase)
    _make(out, lambda private: str(SigningKey(name, private).verifier), as_json, name, create)


@keys.command()
@out_option
@name_option
@as_json_option
def configurer(out: Path, name: str, as_json: bool) -> None:
    """Create the key that signs configuration and diagnostics requests to edges.

    Keep it where engineers work, not where ingest runs. Prints the verifier key for `roster add-configurer`.
    """
    _make(out, lambda private: str(SigningKey(name, private).verifier), as_json, name)


@keys.command()
@out_option
@as_json_option
def edge(out: Path, as_json: bool) -> None:
    """Create the key of one edge.

    Run it on the device that will use the key: it never leaves that device. Prints the public key in
    base64 for `roster add-edge`.
    """
    _make(out, lambda private: base64.b64encode(keyfile.public_bytes(private)).decode(), as_json)


@keys.command()
@out_option
@name_option
@as_json_option
def cosigner(out: Path, name: str, as_json: bool) -> None:
    """Create ingest's key, which signs stored marks.

    A mark tells an edge what is safely stored, so that it need not send it again. Prints the verifier
    key for `roster add-cosigner`.
    """
    _make(out, lambda private: str(Cosigner(name, private).verifier), as_json, name)


@keys.command()
@out_option
@name_option
@as_json_option
def statement(out: Path, name: str, as_json: bool) -> None:
    """Create the key that signs statements.

    A statement is the signed record of a locked period. Prints the verifier key for `roster add-statement-key`.
    """
    _make(out, lambda private: str(SigningKey(name, private).verifier), as_json, name)


def _make(
    out: Path,
    public_text: Callable[[Ed25519PrivateKey], str],
    as_json: bool,
    name: str | None = None,
    create: Callable[[Path], Ed25519PrivateKey] = keyfile.create,
) -> None:
    public_file = publicfile.beside(out)
    if name is not None:
        check_name(name)
    if public_file.exists():
        raise keyfile.KeyFileExists(f"file {public_file} exists and is not overwritten; choose another name or move it")
    text = public_text(create(out))
    publicfile.write(public_file, text)
    show({"key": text, "name": name, "private_file": str(out), "public_file": str(public_file)}, text, as_json)
