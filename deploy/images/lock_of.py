"""Prints the part of requirements.lock that a requirement needs, so that an image installs by hash and no more.

python lock_of.py requirements.lock 'hakari[edge] @ file:///wheel/hakari-0.1.0-py3-none-any.whl' > edge.lock

pip resolves against the lock's versions without installing or building anything; the entries that come out are the
lock's own, so a package that the lock does not hold, or holds with another hash, cannot get into the image.
"""  # noqa: INP001 - a script of the image's build, in no package

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

OWN = "hakari"
_ENTRY = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
_PINNED = re.compile(r"([A-Za-z0-9._-]+)==(\S+)([^\\\n]*)")


def entries(lock: str) -> dict[str, str]:
    """Each entry of the lock by its package's normalised name; one package may have several."""
    found: dict[str, str] = {}
    for entry in _ENTRY.split(lock):
        pinned = _PINNED.match(entry)
        if pinned is not None:
            found[normal(pinned[1])] = found.get(normal(pinned[1]), "") + entry
    return found


def versions(lock: str) -> str:
    """The lock's versions with their markers and without hashes, as constraints."""
    return "".join(f"{found[0].strip()}\n" for found in _PINNED.finditer(lock))


def part(lock: str, names: Iterable[str]) -> str:
    """The lock's entries of `names`; KeyError for one that it does not hold."""
    known = entries(lock)
    return "".join(known[normal(name)] for name in sorted(names) if normal(name) != OWN)


def normal(name: str) -> str:
    """A package's name in its one form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(requirement: str, constraints: str) -> list[str]:
    """The packages that pip would install for `requirement`."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(constraints)
        file.flush()
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        dry = ["--dry-run", "--ignore-installed", "--only-binary", ":all:", "--report", "-"]
        told = subprocess.run([*pip, *dry, "--constraint", file.name, requirement], check=True, capture_output=True)  # noqa: S603
    return [one["metadata"]["name"] for one in json.loads(told.stdout)["install"]]


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    sys.stdout.write(part(text, needed(sys.argv[2], versions(text))))
