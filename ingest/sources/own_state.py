"""What the key of an own log signed last, in a small file beside it: so that it never signs two roots for one size.

Guaranteed: what is about to be committed stands in the file, byte for byte, before the evidence log holds it. Where
the evidence log is later found behind it, the very same leaves are appended again; where it is behind what the file
knows as committed, it was restored from a backup.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from hakari.errors import BadConfiguration
from hakari.log.keyfile import PRIVATE_MODE, replace_file
from hakari.smallfile import TooLarge, read_bytes

MAX_STATE_BYTES = 256 * 1024 * 1024


class OwnStateUnusable(BadConfiguration):
    """The record of what an own log's key signed cannot be read or written."""


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In `epoch` the first `size` leaves with this `root` and `mark` are committed; `about` may be.

    `about` are the sealed messages of the leaves that follow them.
    """

    v: int
    epoch: int
    size: int
    root: bytes
    mark: str
    about: list[bytes]


def state_file(key_file: Path) -> Path:
    """The file beside `key_file`."""
    return key_file.with_name(f"{key_file.name}.signed")


def read_state(path: Path) -> Signed | None:
    """What the file says, None where there is none. Errors: OwnStateUnusable."""
    try:
        return msgspec.json.decode(read_bytes(path, MAX_STATE_BYTES), type=Signed)
    except FileNotFoundError:
        return None
    except (OSError, TooLarge, msgspec.DecodeError) as error:
        raise OwnStateUnusable(
            f"file {path} cannot be read: {error}; it tells what the key beside it has signed: restore it, or move it"
            " away, and a new epoch is opened"
        ) from error


def write_state(path: Path, state: Signed) -> None:
    """Replaces the file; it is on disk when this returns. Errors: OwnStateUnusable."""
    try:
        replace_file(path, msgspec.json.encode(state), PRIVATE_MODE)
    except OSError as error:
        raise OwnStateUnusable(f"file {path} cannot be written: {error.strerror}; mend its folder") from error
