"""The broker's named users: one file of SHA-256 hashes for the broker, one password file a user.

A password is 256 random bits, so a plain hash cannot be searched through; it would not do for chosen passwords.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from hakari.errors import BadConfiguration

MAX_USERS = 1000
PASSWORD_BYTES = 32
USERS_FILE = "users"
PRIVATE_MODE = 0o600
_LINE = re.compile(r"([a-z0-9-]{1,64}):([0-9a-f]{64})")


class UsersInvalid(BadConfiguration):
    """A users file cannot be used."""


def create(folder: Path, user_names: Iterable[str]) -> Path:
    """Writes a fresh password to `{folder}/{name}.password` for each name and returns the broker's users file.

    Every file is readable by its owner only. UsersInvalid for a name that is not of a-z, 0-9 and hyphens.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = []
    for name in user_names:
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        line = f"{name}:{_digest(password)}"
        if not _LINE.fullmatch(line):
            raise UsersInvalid(f"user {name!r} must be of a-z, 0-9 and hyphens, at most 64 characters")
        _write_private(folder / f"{name}.password", password + "\n")
        lines.append(line)
    _write_private(folder / USERS_FILE, "\n".join(lines) + "\n")
    return folder / USERS_FILE


def load(path: Path) -> dict[str, str]:
    """The hash of each user's password; UsersInvalid names the line, or the mode when others may read the file."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsersInvalid(f"users file {path} cannot be read ({error}); create it with `simulate users`") from error
    if mode & 0o077:
        raise UsersInvalid(f"users file {path} has mode {mode:04o}, others may read it; chmod 600 it")
    if not 1 <= len(lines) <= MAX_USERS:
        raise UsersInvalid(f"users file {path} has {len(lines)} users; give 1 to {MAX_USERS}")
    users: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found is None or found[1] in users:
            raise UsersInvalid(f"users file {path} line {number} must be name:sha256, each name once")
        users[found[1]] = found[2]
    return users


def matches(users: Mapping[str, str], name: str | None, password: str | None) -> bool:
    """Whether `password` is the one of `name`, compared in constant time."""
    known = users.get(name or "", "")
    return bool(known) and hmac.compare_digest(known, _digest(password or ""))


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _write_private(path: Path, content: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content)
