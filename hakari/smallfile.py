"""Files of a bounded size, read whole: what a user names may be anything, also a disk."""

from __future__ import annotations

from pathlib import Path

from hakari.errors import BadConfiguration


class TooLarge(BadConfiguration):
    """A file holds more bytes than what it is read for ever takes."""


def read_bytes(path: Path, limit: int) -> bytes:
    """The whole content of `path`, at most `limit` bytes; never more than one byte beyond is read.

    Errors: OSError, TooLarge.
    """
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(f"file {path} is larger than {limit} bytes; give a smaller one")
    return content
