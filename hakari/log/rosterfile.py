"""The roster on disk: read after verification, replaced as a whole, its serial one higher each time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hakari.errors import BadConfiguration, Refused
from hakari.log.keyfile import sync_folder, write_new
from hakari.log.note import MAX_NOTE_BYTES, SigningKey, VerifierKey
from hakari.log.roster import Roster, RosterInvalid, open_roster, sign_roster

ROSTER_MODE = 0o644


class RosterFileInvalid(BadConfiguration):
    """A roster file cannot be read or written."""


class RosterRefused(Refused):
    """A change would make the roster contradict itself."""


def read(path: Path | str, owner: VerifierKey) -> Roster:
    """The roster in the file at `path`, signed by `owner`."""
    try:
        with Path(path).open("rb") as file:
            note = file.read(MAX_NOTE_BYTES + 1)
    except OSError as error:
        raise RosterFileInvalid(f"roster file {path} cannot be read: {error.strerror}") from error
    return open_roster(note, owner)


def create(path: Path | str, make: Callable[[], Roster], owner: SigningKey) -> Roster:
    """The first roster, as `make` gives it, in a new file; an existing file is never touched."""
    try:
        first = make()
        note = sign_roster(first, owner)
    except RosterInvalid as error:
        raise RosterRefused(f"roster {path} is not written: {error}") from error
    write_new(path, note, ROSTER_MODE)
    return first


def amend(path: Path | str, owner: SigningKey, change: Callable[[Roster], Roster]) -> Roster:
    """The roster after `change` (which raises the serial), signed and on disk in place of the old one."""
    known = read(path, owner.verifier)
    try:
        changed = change(known)
        note = sign_roster(changed, owner)
    except RosterInvalid as error:
        raise RosterRefused(f"roster {path} stays as it is: {error}") from error
    if changed.serial <= known.serial or changed.namespace != known.namespace:
        raise RosterRefused(f"roster {path} stays as it is: serial {changed.serial} does not follow {known.serial}")
    _replace(Path(path), note)
    return changed


def _replace(path: Path, note: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    try:
        # One left over from a run that was cut off was never in force.
        new.unlink(missing_ok=True)
        write_new(new, note, ROSTER_MODE)
        os.replace(new, path)  # noqa: PTH105 - Path.replace gives no better error
        sync_folder(path.parent)
    except OSError as error:
        raise RosterFileInvalid(f"roster file {path} cannot be replaced: {error.strerror}") from error
