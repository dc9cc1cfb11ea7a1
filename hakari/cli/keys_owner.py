"""`hakari keys check-owner` and `put-in-token`: what belongs to the ceremony of the owner's key (docs/keys.md)."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from hakari.cli.keys_options import OwnerGiven, as_json_option, asking, owner_options, secret_option
from hakari.cli.output import show
from hakari.errors import Refused
from hakari.log import keystore, publicfile
from hakari.log.keyfile import PRIVATE_MODE, KeyFileExists, write_new
from hakari.log.keystore import Token
from hakari.log.note import open_note, sign
from hakari.log.publicfile import PublicKeyInvalid, verifier_of


class NotTheOwner(Refused):
    """A key is not the one that everything is trusted by."""


@click.command()
@owner_options
@click.option("--owner-key", required=True, metavar="KEY", help="The owner's public key, as printed in the contract.")
@as_json_option
def check_owner(owner: OwnerGiven, owner_key: str, as_json: bool) -> None:
    """Prove that a key file, a backup of it or a token is the owner's: it signs a random line, which is verified."""
    expected = verifier_of(owner_key)
    signer = OwnerGiven(owner.file, owner.name or expected.name, owner.secret_file).signer()
    if signer.verifier != expected:
        raise NotTheOwner(f"{owner.file} is {signer.verifier}, not the owner's key {expected}; look for the right one")
    open_note(sign(f"hakari owner check {secrets.token_hex(16)}\n", signer), [expected])
    show({"owner_key": str(expected), "good": True}, f"{owner.file}: signs as {expected}", as_json)


@click.command()
@click.argument("key_file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--token", "label", required=True, metavar="LABEL", help="The token's label.")
@click.option("--module", required=True, metavar="LIBRARY", help="The token's PKCS#11 library (.so).")
@click.option("--object", "key_label", default="hakari-owner", show_default=True, help="The key's label on the token.")
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="New: names the token.")
@secret_option
@click.option("--pin-file", metavar="FILE", type=click.Path(path_type=Path), help="The PIN; asked for without it.")
@as_json_option
def put_in_token(
    *,
    key_file: Path,
    label: str,
    module: str,
    key_label: str,
    out: Path,
    secret_file: Path | None,
    pin_file: Path | None,
    as_json: bool,
) -> None:
    """Copy the owner key in FILE into a hardware token, which signs and never gives it out again.

    Use the new file wherever --owner is asked for. Afterwards FILE is the backup: see docs/keys.md.
    """
    token, public_file = Token(label, key_label, module), publicfile.beside(out)
    for taken in (out, public_file):
        if taken.exists():
            raise KeyFileExists(f"file {taken} exists and is not overwritten; choose another name or move it")
    public = publicfile.text_of(str(publicfile.beside(key_file)))
    name = verifier_of(public).name
    private = keystore.private_in(key_file, asking(secret_file))
    signer = keystore.open_private(private).named(name)
    if str(signer.verifier) != public:
        raise PublicKeyInvalid(f"file {publicfile.beside(key_file)} is not the public key of {key_file}; exchange it")
    keystore.put_into_token(token, asking(pin_file)(f"PIN of token {label}"), private)
    write_new(out, f"{token}\n".encode(), PRIVATE_MODE)
    publicfile.write(public_file, public)
    show({"token_file": str(out), "key": public}, f"{out}: names the key on token {label}; {public}", as_json)
