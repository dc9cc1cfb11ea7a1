"""What the commands of `hakari keys` share: options, the owner's signature, and how a group ends."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from hakari.cli.output import error_object
from hakari.errors import HakariError
from hakari.log import keystore, publicfile
from hakari.log.note import Signer, is_name
from hakari.log.publicfile import PublicKeyInvalid, verifier_of
from hakari.names import BadName, check_edge_id

Command = Callable[..., None]


class EndingGroup(click.Group):
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


def as_json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def out_option(command: Command) -> Command:
    """`--out`: the new private key file."""
    text = "New private key file; its public text goes to FILE.pub. Neither may exist."
    return click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help=text)(command)


def name_option(command: Command) -> Command:
    """`--name`: the name in signatures."""
    text = "Name that stands in signatures, such as plant.example/owner: no spaces, no plus sign."
    return click.option("--name", required=True, help=text)(command)


class OwnerGiven(NamedTuple):
    """Who signs, as the command line names it; nothing is opened before `signer` is called."""

    file: Path
    name: str | None
    secret_file: Path | None

    def signer(self) -> Signer:
        """The owner's key under the name given, or under the name in its public file, which must fit it."""
        return _signer(self.file, self.name, self.secret_file)


def owner_options(command: Command) -> Command:
    """Who signs the roster; the command gets it as `owner`."""

    @functools.wraps(command)
    def given(**options: Any) -> Any:  # noqa: ANN401 - whatever the command takes and gives
        owner = OwnerGiven(options.pop("owner_file"), options.pop("owner_name"), options.pop("secret_file"))
        return command(owner=owner, **options)

    file = click.option(
        "--owner", "owner_file", required=True, metavar="FILE", type=click.Path(path_type=Path),
        help="The owner's private key file, or the file that names its token.",
    )  # fmt: skip
    name = click.option("--owner-name", metavar="NAME", help="The owner's name; without it FILE.pub says it.")
    return file(name(secret_option(given)))


def secret_option(command: Command) -> Command:
    """`--secret-file`: what `asking` reads instead of the terminal."""
    text = "Holds the key's passphrase or the token's PIN, mode 0600; asked for without it."
    return click.option("--secret-file", metavar="FILE", type=click.Path(path_type=Path), help=text)(command)


def roster_options(command: Command) -> Command:
    """The roster's file, who signs it, and `--json`."""
    return roster_argument(owner_options(as_json_option(command)))


def roster_argument(command: Command) -> Command:
    """The roster's file."""
    return click.argument("roster_file", metavar="ROSTER", type=click.Path(path_type=Path))(command)


def edge_option(command: Command) -> Command:
    """`--edge`: which edge."""
    return click.option("--edge", "edge_id", required=True, metavar="EDGE", help="Edge id, such as sola-e1.")(command)


def key_option(what: str) -> Callable[[Command], Command]:
    """`--key`: the public key of `what`."""
    text = f"The {what}'s .pub file, or its text."
    return click.option("--key", "key_text", required=True, metavar="KEY", help=text)


def asking(secret_file: Path | None) -> keystore.Ask:
    """Where the passphrase or PIN comes from: the file, else the terminal, unseen."""
    if secret_file is not None:
        return lambda _what: keystore.secret_in(secret_file)
    return lambda what: str(click.prompt(what, hide_input=True, err=True))


def new_passphrase(secret_file: Path | None) -> str:
    """A passphrase for a new key: the line in the file, else asked for twice."""
    if secret_file is not None:
        return keystore.secret_in(secret_file)
    return str(click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))


def _signer(path: Path, name: str | None, secret_file: Path | None) -> Signer:
    key = keystore.open_key(path, asking(secret_file))
    if name is not None:
        return key.named(check_name(name))
    public_file = publicfile.beside(path)
    if not public_file.is_file():
        raise PublicKeyInvalid(f"file {public_file} is missing, so the owner's name is not known; give --owner-name")
    verifier = verifier_of(str(public_file))
    signer = key.named(verifier.name)
    if signer.verifier != verifier:
        raise PublicKeyInvalid(f"file {public_file} is not the public key of {path}; give --owner-name")
    return signer


def check_name(name: str) -> str:
    """`name` itself when signatures can bear it; PublicKeyInvalid otherwise."""
    if not is_name(name):
        raise PublicKeyInvalid(f"name {name[:80]!r} must have no space, plus sign or control character")
    return name


def edge_id_of(text: str) -> str:
    """`text` itself when it is an edge id; a usage error otherwise."""
    try:
        return check_edge_id(text)
    except BadName as error:
        raise click.UsageError(str(error)) from error
