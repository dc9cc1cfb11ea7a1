"""docs/tutorial-edge.md as a reader does it: its files and its commands, in order, as printed but for the two ports."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from simulate.layout import free_ports

pytestmark = pytest.mark.system

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial-edge.md"
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([a-z]+\.(?:toml|csv))`")
PORTS = ("15022", "18830")
WAIT_S = 60.0
STEP_S = 120.0


class Block(NamedTuple):
    """One fenced block: its language, whether it runs on, its text, and the file that the words before it name."""

    language: str
    runs_on: bool
    text: str
    file: str


def blocks() -> Iterator[Block]:
    page = PAGE.read_text()
    for found in BLOCK.finditer(page):
        named = FILE.findall(page[: found.start()].rstrip().rsplit("\n\n", 1)[1])
        yield Block(found[1], found[2].strip() == "background", found[3], named[-1] if named else "")


def free(text: str, ports: dict[str, int]) -> str:
    for printed, port in ports.items():
        text = text.replace(printed, str(port))
    return text


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Reader:
    """A person at a folder: runs what the page says, in a shell that stops at the first failure."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self.running: list[subprocess.Popen[bytes]] = []
        self.said: dict[str, str] = {}

    def do(self, block: Block) -> None:
        text = free(block.text, self.ports)
        if block.language in ("toml", "csv"):
            assert block.file, text
            (self.folder / block.file).write_text(text)
        elif block.runs_on:
            self.start(text)
        else:
            done = self.shell(text)
            assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
            self.said[block.text.split("\n")[0]] = done.stdout

    def shell(self, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=STEP_S, check=False,
        )  # fmt: skip

    def start(self, text: str) -> None:
        log = (self.folder / f"background-{len(self.running)}.log").open("wb")
        self.running.append(
            subprocess.Popen(
                ["bash", "-c", f"exec {text}"], cwd=self.folder, env=self.environ, stdout=log, stderr=subprocess.STDOUT
            )
        )
        log.close()
        port = {"plants": "15022", "broker": "18830"}.get(text.split()[2])
        until = time.monotonic() + WAIT_S
        while port is not None and not listening(self.ports[port]):
            assert self.running[-1].poll() is None, Path(log.name).read_text()
            assert time.monotonic() < until, f"{text} does not listen"
            time.sleep(0.1)

    def leave(self) -> list[int]:
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        return [process.wait(WAIT_S) for process in self.running]


def test_every_command_of_the_tutorial_runs_as_printed(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    try:
        for block in blocks():
            if block.language in ("toml", "csv", "sh"):
                reader.do(block)
        assert all(process.poll() is None for process in reader.running)
    finally:
        codes = reader.leave()
    said = "\n".join(reader.said.values())
    assert "   2  exception 2 (illegal data address)" in said
    assert "possibly abb-b23" in said
    assert "energy_import" in said
    assert "connected" in said
    assert "✗" not in said
    assert codes[-1] == 0
    assert (tmp_path / "found.toml").is_file()


def test_the_tutorial_has_every_step() -> None:
    shell = "\n".join(block.text for block in blocks() if block.language == "sh")
    for command in ("scan", "read", "import-points", "check", "commission", "doctor", "run", "status"):
        assert f"hakari edge {command} " in shell
    assert sum(int(found) for found in re.findall(r"^sleep (\d+)$", shell, re.MULTILINE)) < 60
