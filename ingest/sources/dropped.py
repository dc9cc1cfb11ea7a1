"""The watched folder and its `done/` and `refused/`, of which the first belongs to a sender whom nobody has to trust.

Guaranteed: no link is followed, whoever plants one and whenever; nothing that exists is written into; a name stands for
a file in one of the three folders and for nothing else. `done/` and `refused/` are real folders of ingest's own user or
of root. Every function raises OSError where the file system or one of these rules forbids it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

DONE, REFUSED = "done", "refused"
FOLDER_MODE = 0o755
FILE_MODE = 0o644
ROOT_USER = 0
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotOurs(PermissionError):
    """`done/` or `refused/` is a link or belongs to somebody else."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            1,
            f"{path} is no folder of ingest's own user, so that files could be led astray; take it away, or set the"
            " source's done to a place that the sender cannot write",
        )


class Dropped:
    """`folder` is watched; `done/` and `refused/` stand in `beside`, left out in the folder itself.

    A file is named "a.csv" in the watched folder and "done/a.csv" or "refused/a.csv" in those.
    """

    def __init__(self, folder: Path, beside: Path | None = None) -> None:
        self._folder = folder
        self._beside = folder if beside is None else beside

    def prepare(self) -> None:
        """Makes the folders, which must be on one file system."""
        for folder in (self._folder, self._beside):
            folder.mkdir(parents=True, exist_ok=True)
        if self._folder.stat().st_dev != self._beside.stat().st_dev:
            raise OSError(18, f"{self._beside} is on another file system, and files are moved there; choose one on its")
        for part in (DONE, REFUSED):
            with contextlib.suppress(FileExistsError):
                (self._beside / part).mkdir(FOLDER_MODE)
        self.check()

    def check(self) -> None:
        """NotOurs unless files may be moved to where they belong."""
        for part in (DONE, REFUSED):
            with self._opened(part):
                pass

    def stat(self, name: str) -> os.stat_result:
        """What stands at `name`, be it a link."""
        with self._place(name) as (folder, base):
            return os.stat(base, dir_fd=folder, follow_symlinks=False)

    def exists(self, name: str) -> bool:
        """Whether anything stands at `name`."""
        try:
            self.stat(name)
        except FileNotFoundError:
            return False
        return True

    def open(self, name: str) -> int:
        """A descriptor for reading, which never waits."""
        with self._place(name) as (folder, base):
            return os.open(base, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)

    def write_new(self, name: str, content: bytes) -> None:
        """Makes the file; FileExistsError where anything stands there."""
        with self._place(name) as (folder, base), os.fdopen(self._new(base, folder), "wb") as file:
            file.write(content)

    def replace(self, name: str, content: bytes) -> None:
        """Makes the file or puts it whole in the place of one that stands there."""
        self.remove(f"{name}.new")
        self.write_new(f"{name}.new", content)
        self.move(f"{name}.new", name)

    def move(self, name: str, target: str) -> None:
        """Moves a file; what stands at `target` is replaced by it, never followed."""
        with self._place(name) as (source, base), self._place(target) as (folder, new):
            os.rename(base, new, src_dir_fd=source, dst_dir_fd=folder)

    def remove(self, name: str) -> None:
        """Removes a file or link where there is one."""
        with self._place(name) as (folder, base), contextlib.suppress(FileNotFoundError):
            os.unlink(base, dir_fd=folder)

    def _new(self, base: str, folder: int) -> int:
        return os.open(base, _OPEN_NEW, FILE_MODE, dir_fd=folder)

    @contextlib.contextmanager
    def _place(self, name: str) -> Iterator[tuple[int, str]]:
        """The open folder of `name` and its last part."""
        part, _, base = name.rpartition("/")
        if part not in ("", DONE, REFUSED) or base in ("", ".", ".."):
            raise FileNotFoundError(2, "no file in the watched folder, done or refused", name)
        with self._opened(part) as folder:
            yield folder, base

    @contextlib.contextmanager
    def _opened(self, part: str) -> Iterator[int]:
        path = self._beside / part if part else self._folder
        try:
            # Whoever set the source chose the watched folder itself, be it by a link.
            handle = os.open(path, _OPEN_FOLDER | (os.O_NOFOLLOW if part else 0))
        except NotADirectoryError as error:
            raise NotOurs(path) from error
        try:
            told = os.fstat(handle)
            if part and (told.st_uid not in (os.geteuid(), ROOT_USER) or told.st_mode & stat.S_IWOTH):
                raise NotOurs(path)
            yield handle
        finally:
            os.close(handle)
