"""Child processes: ready, died, killed and stopped."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from simulate.processes import ChildDied, NotReady, Processes

LISTEN = """
import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen()
print("listening", flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_ready_then_stopped(tmp_path: Path) -> None:
    port = free_port()
    with Processes(tmp_path) as processes:
        processes.start("room", [sys.executable, "-c", LISTEN, str(port)])
        processes.wait_listening("room", "127.0.0.1", port)
        processes.check()
        with pytest.raises(ValueError, match="runs already"):
            processes.start("room", ["true"])
        assert processes.stop("room") == -15
    assert "listening" in (tmp_path / "room.log").read_text()


def test_a_crash_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("room", [sys.executable, "-c", "import sys; print('no key'); sys.exit(3)"])
        with pytest.raises(ChildDied, match=r"room ended with exit code 3(.|\n)*no key") as caught:
            processes.wait_listening("room", "127.0.0.1", free_port())
        assert caught.value.exit_code == 3


def test_a_room_that_never_listens(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("room", ["sleep", "600"])
        with pytest.raises(NotReady, match="does not listen"):
            processes.wait_listening("room", "127.0.0.1", free_port(), limit_s=0.1)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_one_that_ignores_sigterm_goes_with_its_children(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        pid = processes.start("room", [sys.executable, "-c", STUBBORN])
        log = tmp_path / "room.log"
        while not log.read_text().endswith("\n"):
            processes.check()
        grandchild = int(log.read_text())
        assert processes.stop("room", limit_s=0.2) == -9
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    while alive(grandchild):  # SIGKILL was sent; the test's time limit ends this when it was not
        pass


def test_kill_and_start_again_and_wait(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("room", ["sleep", "600"])
        processes.kill("room")
        processes.start("room", ["true"])
        processes.wait("room", 30)
        processes.start("room", ["false"])
        with pytest.raises(ChildDied, match="exit code 1"):
            processes.wait("room", 30)
