"""The files of a watched folder that were taken lately, as they were then: who still writes into one is noticed.

Guaranteed: what a file was when it was read is on disk before the file is moved, so that no restart forgets it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import msgspec

from ingest.sources.dropped import DONE, Dropped

MAX_KEPT = 2000
MAX_BYTES = 4 * 1024 * 1024
FILE = f"{DONE}/.taken.json"


class State(NamedTuple):
    """What tells whether a file was written: its size and when it was changed."""

    size: int
    changed_ns: int


class TakenFiles:
    """The newest MAX_KEPT taken files by their names; OSError where that cannot be written."""

    def __init__(self, files: Dropped) -> None:
        self._files = files
        self._states: dict[str, State] | None = None

    def keep(self, name: str, state: State) -> None:
        """From now on the file at `name` is known as it is in `state`."""
        states = self._read()
        states.pop(name, None)
        states[name] = state
        while len(states) > MAX_KEPT:
            del states[next(iter(states))]
        self._write(states)

    def forget(self, name: str) -> None:
        """The file at `name` is no longer looked at."""
        states = self._read()
        if states.pop(name, None) is not None:
            self._write(states)

    def changed(self) -> list[str]:
        """The files that are no longer as they were taken; those that were taken away are forgotten."""
        states = self._read()
        gone, found = [], []
        for name, state in states.items():
            try:
                told = self._files.stat(name)
            except FileNotFoundError:
                gone.append(name)
                continue
            if State(told.st_size, told.st_mtime_ns) != state:
                found.append(name)
        for name in gone:
            del states[name]
        if gone:
            self._write(states)
        return found

    def size(self, name: str) -> int:
        """How long the file at `name` was when it was taken, bytes."""
        state = self._read().get(name)
        return 0 if state is None else state.size

    def _read(self) -> dict[str, State]:
        if self._states is None:
            try:
                with os.fdopen(self._files.open(FILE), "rb") as file:
                    self._states = msgspec.json.decode(file.read(MAX_BYTES), type=dict[str, State])
            except (FileNotFoundError, msgspec.DecodeError):
                # It only says what to look at again; what counts stands in the log.
                self._states = {}
        return self._states

    def _write(self, states: dict[str, State]) -> None:
        self._files.replace(FILE, msgspec.json.encode(states))
