"""Public keys as people hand them around: a `.pub` file of one line, or that line itself."""

from __future__ import annotations

from pathlib import Path

from hakari.errors import BadConfiguration
from hakari.log.keyfile import write_new
from hakari.log.note import NoteInvalid, VerifierKey, check_public, decode64

MAX_PUBLIC_FILE_BYTES = 1024
PUBLIC_MODE = 0o644


class PublicKeyInvalid(BadConfiguration):
    """A name or public key given in a setting or on the command line cannot be used."""


def beside(private_file: Path) -> Path:
    """Where the public text of the key in `private_file` is written: FILE.pub."""
    return private_file.with_name(f"{private_file.name}.pub")


def write(path: Path, text: str) -> None:
    """`text` as the one line of a new file; an existing file is never touched."""
    write_new(path, f"{text}\n".encode(), PUBLIC_MODE)


def text_of(given: str) -> str:
    """What the public key file named `given` says, or `given` itself where it is no file."""
    try:
        path = Path(given)
        if not path.is_file():
            return given
        with path.open("rb") as file:
            content = file.read(MAX_PUBLIC_FILE_BYTES + 1)
    except ValueError:
        return given
    except OSError as error:
        raise PublicKeyInvalid(f"public key file {given[:200]} cannot be read: {error.strerror}") from error
    # A private key given by mistake must not appear in the sentence that refuses it.
    if b"PRIVATE KEY" in content:
        raise PublicKeyInvalid(f"file {given} holds a private key; give {given}.pub")
    if len(content) > MAX_PUBLIC_FILE_BYTES:
        raise PublicKeyInvalid(f"file {given} is larger than {MAX_PUBLIC_FILE_BYTES} bytes, so it is no public key")
    return content.decode(errors="replace").removesuffix("\n")


def verifier_of(given: str) -> VerifierKey:
    """The verifier key in the file `given`, or that `given` is the text of."""
    try:
        return VerifierKey.parse(text_of(given))
    except NoteInvalid as error:
        raise PublicKeyInvalid(f"{error}; give the .pub file or the line in it") from error


def edge_public_of(given: str) -> str:
    """The base64 public key of an edge in the file `given`, or `given` itself, checked."""
    text = text_of(given)
    try:
        check_public(decode64(text, "edge key"), f"edge key {text[:80]!r}")
    except NoteInvalid as error:
        raise PublicKeyInvalid(f"{error}; give the edge's .pub file or the line in it") from error
    return text
