"""Private keys on disk: PEM PKCS8, readable by their owner only, never overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hakari.errors import BadConfiguration, Refused

MAX_KEY_FILE_BYTES = 4096
PRIVATE_MODE = 0o600
_OTHERS = 0o077


class KeyFileExists(Refused):
    """A key file would be overwritten."""


class KeyFileUnsafe(Refused):
    """Others than its owner can use a private key file."""


class KeyFileInvalid(BadConfiguration):
    """A key file cannot be read or written, or holds no Ed25519 private key."""


def create(path: Path | str) -> Ed25519PrivateKey:
    """A new private key, on disk at `path` with mode 0600 when this returns; an existing file is never touched."""
    private = Ed25519PrivateKey.generate()
    write_new(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), PRIVATE_MODE)
    return private


def write_new(path: Path | str, content: bytes, mode: int) -> None:
    """`content` in a file that did not exist, with `mode`, synced together with its folder."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(Path(path).parent)
    except FileExistsError as error:
        raise KeyFileExists(f"file {path} exists and is not overwritten; choose another name or move it") from error
    except OSError as error:
        raise KeyFileInvalid(f"file {path} cannot be written: {error.strerror}") from error


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """`content` in place of the file at `path`, whole or not at all, with `mode`; on disk when this returns.

    Errors: OSError, and KeyFileInvalid where the new file cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    # One left over from a run that was cut off was never in force.
    new.unlink(missing_ok=True)
    write_new(new, content, mode)
    os.replace(new, path)  # noqa: PTH105 - Path.replace gives no better error
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The names in `folder` are on disk when this returns."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load(path: Path | str) -> Ed25519PrivateKey:
    """The private key at `path`; KeyFileUnsafe when group or others have any right on the file."""
    pem = read_private(path)
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileInvalid(f"key file {path} is no unencrypted PEM private key; make one with hakari keys") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileInvalid(f"key file {path} holds another kind of key, not Ed25519; make one with hakari keys")
    return private


def read_private(path: Path | str) -> bytes:
    """What a small file holds that nobody but its owner may touch. Errors: KeyFileInvalid, KeyFileUnsafe."""
    try:
        # Not blocking, so that a FIFO in place of the file cannot hang a starting room.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileInvalid(f"key file {path} cannot be read: {error.strerror}") from error
    try:
        return _read_checked(handle, path)
    finally:
        os.close(handle)


def _read_checked(handle: int, path: Path | str) -> bytes:
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        raise KeyFileInvalid(f"key file {path} is not a file")
    if mode & _OTHERS:
        raise KeyFileUnsafe(f"key file {path} has mode {mode & 0o777:04o}; run: chmod 600 {path}")
    pem = os.read(handle, MAX_KEY_FILE_BYTES + 1)
    if len(pem) > MAX_KEY_FILE_BYTES:
        raise KeyFileInvalid(f"key file {path} is larger than {MAX_KEY_FILE_BYTES} bytes, so it is no key")
    return pem


def public_bytes(private: Ed25519PrivateKey) -> bytes:
    """The 32 raw bytes of the public key."""
    return private.public_key().public_bytes_raw()
