"""The watched folder: files that loggers and historians drop are taken whole, recorded, then moved to where they tell.

Guaranteed: a file is read once it has rested; it is moved to `done/` or `refused/` only after its values are leaves on
disk, and a file that is taken again counts nothing; no link is followed on any of these ways. A file into which
somebody still writes after it was moved is taken again, and that is said. What was refused stands beside it in
`NAME.why.txt`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hakari.crash import crash_point
from hakari.errors import BadConfiguration
from ingest.sources.dropped import DONE, REFUSED, Dropped
from ingest.sources.mapping import Mapping
from ingest.sources.own_log import Taken, Taking
from ingest.sources.port import Message, Parsed
from ingest.sources.table import TableParser
from ingest.sources.table_lines import MAX_FILE_BYTES
from ingest.sources.taken import State, TakenFiles

UNFINISHED = (".part", ".tmp", ".filepart", ".partial", ".crdownload", ".swp", "~")
WHY = ".why.txt"
NAME_AGAIN = (
    "a file of this name was taken before; a writer that appends to a file that was taken away makes a new one without"
    " its header: let it write whole files and rename them into the folder"
)
MAX_FILES = 10_000
MAX_NAME_BYTES = 200
MAX_WHY_LINES = 1000
DIGEST_CHARS = 12
MAX_SAME_NAMES = 100

_log = logging.getLogger("hakari.ingest")


class FolderUnusable(BadConfiguration):
    """A watched folder cannot be read or written."""


class _Seen(NamedTuple):
    """A file as it was at `since_s`, machine time: it rests while nothing of the rest changes."""

    inode: int
    size: int
    changed_ns: int
    since_s: float


Take = Callable[[Taking, int], Taken]


class Folder:
    """The folder of the source `name`; `take` makes leaves of what a file holds before it returns."""

    def __init__(
        self, name: str, folder: Path, still_s: float, mapping: Mapping, take: Take, beside: Path | None = None
    ) -> None:
        """`beside` is where `done/` and `refused/` stand, left out in the folder itself."""
        self._name = name
        self._folder = folder
        self._files = Dropped(folder, beside)
        self._still_s = still_s
        self._mapping = mapping
        self._parser = TableParser(mapping)
        self._take = take
        self._seen: dict[str, _Seen] = {}
        self._written: dict[str, _Seen] = {}
        self._taken = TakenFiles(self._files)
        self._complaint = ""

    def prepare(self) -> None:
        """Makes the folders; FolderUnusable where that cannot be."""
        try:
            self._files.prepare()
        except OSError as error:
            raise FolderUnusable(
                f"[[source]] {self._name}: folder {self._folder}: {error.strerror}; mend it"
            ) from error

    def look(self, now_ms: int, machine_s: float) -> int:
        """Takes the files that have rested; how many. `now_ms` is the plant's time, `machine_s` counts the rest."""
        try:
            self._files.check()
            found = self._found(machine_s)
        except OSError as error:
            self._complain(f"folder {self._folder} cannot be used: {error.strerror}; it is looked at again")
            return 0
        rested = [name for name, seen in found.items() if machine_s - seen.since_s >= self._still_s]
        self._seen = found
        taken = self._look_again(now_ms, machine_s)
        for name in sorted(rested, key=lambda one: (found[one].changed_ns, one)):
            try:
                taken += self._take_file(name, found[name], now_ms)
            except OSError as error:
                self._complain(f"file {name!r} in {self._folder}: {error.strerror}; it is tried again")
        return taken

    def _look_again(self, now_ms: int, machine_s: float) -> int:
        """Takes files again that were written to after they were taken and have rested since; how many."""
        taken = 0
        try:
            before, self._written = self._written, {}
            for name in self._taken.changed():
                now = _seen(self._files.stat(name), machine_s)
                known = before.get(name)
                seen = self._written[name] = known if known is not None and known[:3] == now[:3] else now
                if machine_s - seen.since_s >= self._still_s:
                    taken += self._take_grown(name, seen, now_ms)
        except OSError as error:
            self._complain(f"files that were taken from {self._folder} cannot be looked at: {error.strerror}")
        return taken

    def _take_grown(self, name: str, seen: _Seen, now_ms: int) -> int:
        found = self._take_content(name, seen, now_ms)
        if found is None:
            return 0
        content, taken = found
        _log.warning(
            "%s: file %r was written to after it was taken (%d bytes then, %d now) and is taken again: %d new values;"
            " let its writer close it and rename it into the folder",
            self._name, name, self._taken.size(name), seen.size, taken.new,
        )  # fmt: skip
        self._say(name, taken)
        self._move(name, seen, hashlib.sha256(content).hexdigest(), taken)
        return 1

    def _found(self, machine_s: float) -> dict[str, _Seen]:
        """The files that may be taken, each since when it is as it is."""
        found: dict[str, _Seen] = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not _is_candidate(entry) or len(found) >= MAX_FILES:
                    continue
                now = _seen(entry.stat(follow_symlinks=False), machine_s)
                before = self._seen.get(entry.name)
                found[entry.name] = before if before is not None and before[:3] == now[:3] else now
        return found

    def _take_file(self, name: str, seen: _Seen, now_ms: int) -> int:
        found = self._take_content(name, seen, now_ms)
        if found is None:
            return 0
        content, taken = found
        self._say(name, taken)
        self._move(name, seen, hashlib.sha256(content).hexdigest(), taken)
        return 1

    def _take_content(self, name: str, seen: _Seen, now_ms: int) -> tuple[bytes, Taken] | None:
        """The file's bytes and what became of them; None where it is no longer the one that has rested."""
        content = self._read(name, seen)
        if content is None:
            return None
        message = Message(self._name, Path(name).name, content)
        parsed = self._parser.parse(message, now_ms)
        if seen.size > MAX_FILE_BYTES:
            parsed = Parsed([], [f"the file cannot be taken: it has {seen.size} bytes, limit {MAX_FILE_BYTES}"])
        told = {"way": "folder", "who": self._name, "why": "file in its folder", "mapping": self._mapping.sha256}
        taken = self._take(Taking(self._mapping.declared, message, parsed, told), now_ms)
        crash_point("folder.taken")
        if not (taken.again or taken.new or taken.duplicates) and self._files.exists(f"{DONE}/{Path(name).name}"):
            taken = taken._replace(refused=[*taken.refused, NAME_AGAIN])
        return content, taken

    def _read(self, name: str, seen: _Seen) -> bytes | None:
        """The file's bytes, at most one beyond the limit; None where it is no longer the one that has rested."""
        handle = self._files.open(name)
        with os.fdopen(handle, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
            told = os.fstat(handle)
        same = (told.st_ino, told.st_size, told.st_mtime_ns) == seen[:3] and stat.S_ISREG(told.st_mode)
        if same and len(content) == min(seen.size, MAX_FILE_BYTES + 1):
            return content
        self._seen.pop(name, None)
        return None

    def _say(self, name: str, taken: Taken) -> None:
        if taken.refused:
            _log.warning("%s: file %r: %d values refused: %s", self._name, name, len(taken.refused), taken.refused[0])
        _log.info("%s: file %r: %d new values, %d known", self._name, name, taken.new, taken.duplicates)

    def _move(self, name: str, seen: _Seen, sha256: str, taken: Taken) -> None:
        """To `done/` or `refused/`, unless another file stands under its name by now."""
        told = self._files.stat(name)
        if (told.st_ino, told.st_size, told.st_mtime_ns) != seen[:3]:
            return
        whole = taken.again or taken.new or taken.duplicates or not taken.refused
        target = self._free(f"{DONE if whole else REFUSED}/{Path(name).name}", name, sha256, seen)
        why = f"{target}{WHY}"
        if target == name:
            self._files.remove(why)
        if taken.refused:
            lines = [*taken.refused[:MAX_WHY_LINES]]
            lines += [f"and {len(taken.refused) - MAX_WHY_LINES} more"] if len(taken.refused) > MAX_WHY_LINES else []
            self._files.write_new(why, "\n".join([*lines, ""]).encode(errors="replace"))
        # Known before it is moved: what is written from now on is noticed, whenever ingest ends.
        self._taken.keep(target, State(seen.size, seen.changed_ns))
        if target != name:
            self._files.move(name, target)
            if "/" in name:
                self._files.remove(f"{name}{WHY}")
                self._taken.forget(name)
        self._seen.pop(name, None)
        self._written.pop(name, None)
        self._complaint = ""

    def _free(self, wanted: str, name: str, sha256: str, seen: _Seen) -> str:
        """A name at which neither a file nor its reasons stand; `wanted` itself for the file that stands there."""
        if wanted == name:
            return name
        told = f"{wanted}.{sha256[:DIGEST_CHARS]}.{now_text(seen)}"
        tries = [wanted, told, *(f"{told}.{k}" for k in range(2, MAX_SAME_NAMES))]
        for one in tries:
            if not self._files.exists(one) and not self._files.exists(f"{one}{WHY}"):
                return one
        raise FileExistsError(17, f"{MAX_SAME_NAMES} files of this name and time stand in done; take them away", name)

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            _log.error("%s: %s", self._name, text)


def _seen(told: os.stat_result, machine_s: float) -> _Seen:
    return _Seen(told.st_ino, told.st_size, told.st_mtime_ns, machine_s)


def now_text(seen: _Seen) -> str:
    """What tells a file from an earlier one of the same name and content."""
    return str(seen.changed_ns)


def _is_candidate(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file that its sender has finished, and whose name can be written down."""
    name = entry.name
    if name.startswith(".") or name.lower().endswith(UNFINISHED) or len(os.fsencode(name)) > MAX_NAME_BYTES:
        return False
    return name.isprintable() and entry.is_file(follow_symlinks=False)
