"""The file that a command writes for a person to review: always a new one."""

from __future__ import annotations

from pathlib import Path

from hakari.errors import BadConfiguration, Refused

ENCODING = "utf-8"


class OutputFileTaken(Refused):
    """The file to be written is there already."""


class OutputFileUnwritable(BadConfiguration):
    """The file to be written cannot be."""


def check_free(path: Path | None) -> None:
    """Returns where `path` may be written, so that nobody waits for a result in vain; OutputFileTaken else."""
    if path is not None and path.exists():
        raise _taken(path)


def write_free(path: Path, text: str) -> None:
    """`text` in a file that did not exist; OutputFileTaken or OutputFileUnwritable else."""
    try:
        with path.open("x", encoding=ENCODING) as file:
            file.write(text)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise OutputFileUnwritable(f"file {path} cannot be written: {error.strerror}; choose another path") from error


def _taken(path: Path) -> OutputFileTaken:
    return OutputFileTaken(f"file {path} exists and is not overwritten; choose another name or move it")
