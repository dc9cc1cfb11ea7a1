"""The roster on disk: read after verification, replaced as a whole, its serial one higher each time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hakari.errors import BadConfiguration, Refused
from hakari.log.keyfile import replace_file, write_new
from hakari.log.note import MAX_NOTE_BYTES, Signer, VerifierKey
from hakari.log.roster import Roster, RosterInvalid, open_roster, sign_roster

ROSTER_MODE = 0o644

_log = logging.getLogger("hakari.log")


class RosterFileInvalid(BadConfiguration):
    """A roster file cannot be read or written, or does not hold the owner's roster of our namespace."""


class RosterRefused(Refused):
    """A change would make the roster contradict itself."""


class Signed(NamedTuple):
    """A roster with the very note that it was read from."""

    note: bytes
    roster: Roster


def read(path: Path | str, owner: VerifierKey) -> Roster:
    """The roster in the file at `path`, signed by `owner`. Errors: RosterFileInvalid, RosterInvalid."""
    return open_roster(_note(path), owner)


def read_signed(path: Path | str, owner: VerifierKey, namespace: str | None = None) -> Signed:
    """The roster in the file at `path` with its note; RosterFileInvalid unless `owner` signed it for `namespace`.

    `namespace` None takes any.
    """
    note = _note(path)
    try:
        roster = open_roster(note, owner)
    except RosterInvalid as error:
        raise RosterFileInvalid(f"roster file {path}: {error}; check roster_file and owner_key") from error
    if namespace is not None and roster.namespace != namespace:
        raise RosterFileInvalid(
            f"roster file {path} is of namespace {roster.namespace}, ours is {namespace}; exchange one"
        )
    return Signed(note, roster)


class Watched:
    """The roster in a file that the owner may replace while a process runs; see `read_signed` for the arguments."""

    def __init__(self, path: Path | str, owner: VerifierKey, namespace: str | None = None) -> None:
        self._path = Path(path)
        self._owner = owner
        self._namespace = namespace
        self._seen: tuple[int, int, int] | None = None
        self._complaint = ""

    def read(self) -> Roster:
        """The roster as it stands in the file. Errors: RosterFileInvalid."""
        try:
            # Taken before the note is read: a file that is replaced in between is read again next time.
            found = self._path.stat()
        except OSError as error:
            self._seen = None
            raise RosterFileInvalid(f"roster file {self._path} cannot be read: {error.strerror}") from error
        self._seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        return read_signed(self._path, self._owner, self._namespace).roster

    def again(self, present: Roster) -> Roster:
        """The roster of a higher serial that stands in the file now, else `present` itself. Raises nothing.

        Why another file is not taken is logged once.
        """
        if self._unchanged():
            return present
        try:
            newer = self.read()
        except RosterFileInvalid as error:
            return self._keep(present, str(error))
        if newer.serial <= present.serial and newer != present:
            return self._keep(present, f"serial {newer.serial} in {self._path} does not follow {present.serial}")
        self._complaint = ""
        return present if newer == present else newer

    def _unchanged(self) -> bool:
        try:
            found = self._path.stat()
        except OSError:
            return False
        return (found.st_mtime_ns, found.st_size, found.st_ino) == self._seen

    def _keep(self, present: Roster, why: str) -> Roster:
        if why != self._complaint:
            self._complaint = why
            _log.error("the roster with serial %s stays in force: %s", present.serial, why)
        return present


def create(path: Path | str, make: Callable[[], Roster], owner: Signer) -> Roster:
    """The first roster, as `make` gives it, in a new file; an existing file is never touched."""
    try:
        first = make()
        note = sign_roster(first, owner)
    except RosterInvalid as error:
        raise RosterRefused(f"roster {path} is not written: {error}") from error
    write_new(path, note, ROSTER_MODE)
    return first


def amend(path: Path | str, owner: Signer, change: Callable[[Roster], Roster]) -> Roster:
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


def _note(path: Path | str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_NOTE_BYTES + 1)
    except OSError as error:
        raise RosterFileInvalid(f"roster file {path} cannot be read: {error.strerror}") from error


def _replace(path: Path, note: bytes) -> None:
    try:
        replace_file(path, note, ROSTER_MODE)
    except OSError as error:
        raise RosterFileInvalid(f"roster file {path} cannot be replaced: {error.strerror}") from error
