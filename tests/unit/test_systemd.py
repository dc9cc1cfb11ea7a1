"""The systemd unit of an edge: systemd itself reads it, and its commands exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from edge.run import DRAIN_S
from hakari.cli import root as cli

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "hakari-edge.service"


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "hakari"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/hakari/bin/hakari", str(program)))
    done = subprocess.run([tool, "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_its_commands_exist() -> None:
    lines = re.findall(r"^Exec\w+=/opt/hakari/bin/hakari (.+)$", UNIT.read_text(), re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        room, name, *rest = line.split()
        group = cli.root.get_command(click.Context(cli.root), room)
        assert isinstance(group, click.Group)
        group.commands[name].make_context(name, rest)


def test_it_waits_as_long_as_an_edge_may_take_to_end() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    assert int(found[1]) > DRAIN_S
