"""Rooms as child processes: each in its own process group with its own log file, started, watched and stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from hakari.errors import HakariError, NotReachable

READY_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0
POLL_S = 0.02
CONNECT_TIMEOUT_S = 0.5
TAIL_BYTES = 4096
TAIL_LINES = 20


class ChildDied(HakariError):
    """A room's process ended while it was needed; `exit_code` is its own where it is one of ours."""

    def __init__(self, message: str, exit_code: int) -> None:
        """`exit_code` of the child; a child killed by a signal counts as our own fault."""
        super().__init__(message)
        if exit_code in range(1, 7):
            self.exit_code = exit_code


class NotReady(NotReachable):
    """A room's process runs and does not listen."""


class Child(NamedTuple):
    """One started process. `exited` is None while it runs."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Processes:
    """The processes of one demo or test. Leaving the context stops all of them, the last started first."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        """Log files are `{folder}/{name}.log`; a restarted process continues its file."""
        self._folder = folder
        self._environ = dict(os.environ if environ is None else environ)
        self._children: dict[str, Child] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def start(self, name: str, argv: Sequence[str]) -> int:
        """Starts `argv` as room `name` and returns its process id. A name that runs already is refused."""
        if name in self._children:
            raise ValueError(f"process {name} runs already; stop it first")
        log = self._folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603  # the demo's own commands, no shell
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,
            )
        self._children[name] = Child(name, process, log)
        return process.pid

    def wait_listening(self, name: str, host: str, port: int, limit_s: float = READY_LIMIT_S) -> None:
        """Returns once `host:port` accepts a connection. ChildDied, or NotReady after `limit_s`."""
        deadline_s = time.monotonic() + limit_s
        while True:
            self.check()
            try:
                socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
            except OSError:
                pass
            else:
                return
            if time.monotonic() > deadline_s:
                log = self._children[name].log
                raise NotReady(
                    f"{name} does not listen on {host}:{port} after {limit_s:g} s; its log {log}\n{tail(log)}"
                )
            time.sleep(POLL_S)

    def wait(self, name: str, limit_s: float) -> None:
        """Returns once the process has ended with exit code 0. ChildDied otherwise, NotReady after `limit_s`."""
        child = self._children[name]
        try:
            child.process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise NotReady(f"{name} still runs after {limit_s:g} s; its log {child.log}\n{tail(child.log)}") from error
        if child.process.returncode:
            raise _died(child)
        del self._children[name]

    def check(self) -> None:
        """Returns while every started process runs; ChildDied with the end of its log for the first that does not."""
        for child in self._children.values():
            if child.process.poll() is not None:
                raise _died(child)

    def kill(self, name: str) -> None:
        """SIGKILL to the whole group, as a power cut would; the name may then be started again."""
        child = self._children.pop(name)
        _kill_group(child)
        child.process.wait()

    def stop(self, name: str, limit_s: float = STOP_LIMIT_S) -> int:
        """SIGTERM, and SIGKILL to the group after `limit_s`; returns the exit code (negative: the signal's number)."""
        child = self._children.pop(name)
        if child.process.returncode is None:
            child.process.terminate()  # which may find that it has ended by itself
        if child.process.returncode is None:
            _wait_unreaped(child, limit_s)
            _kill_group(child)
        return child.process.wait()

    def stop_all(self) -> None:
        """Stops every process, the last started first."""
        for name in reversed(list(self._children)):
            self.stop(name)


def tail(log: Path) -> str:
    """The last lines of a log file, for an error message."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read(TAIL_BYTES).decode(errors="replace")
    return "\n".join(text.splitlines()[-TAIL_LINES:])


def _died(child: Child) -> ChildDied:
    code = child.process.returncode
    return ChildDied(f"{child.name} ended with exit code {code}; its log {child.log} ends\n{tail(child.log)}", code)


def _wait_unreaped(child: Child, limit_s: float) -> None:
    """Waits for the process's end without taking its exit status: until then nobody else can get its id."""
    deadline_s = time.monotonic() + limit_s
    while os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > deadline_s:
            return
        time.sleep(POLL_S)


def _kill_group(child: Child) -> None:
    """SIGKILL to the process and what it started, while its id is still its own."""
    if child.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
