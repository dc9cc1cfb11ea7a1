"""The root command: exit codes, words, and rooms that are not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest

import hakari
from hakari.cli import root as cli
from hakari.cli.output import table
from hakari.errors import DataProblem, NotReachable, Refused

COMMANDS = '''
"""Commands of a room that exists only in this test."""
import os, signal, sys
import click
from hakari.errors import NotReachable

@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.argument("how")
@click.pass_context
def sample(ctx, as_json, how):
    """A sample."""
    if how == "reach":
        raise NotReachable("meter m1 does not answer at 127.0.0.1:1; check its cable")
    if how == "fault":
        raise ValueError("oops")
    if how == "five":
        ctx.exit(5)
    if how == "six":
        return 6
    if how == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    if how == "pipe":
        for number in range(200_000):
            click.echo(number)
    if how == "socket":
        raise BrokenPipeError(32, "broken pipe of a socket")
    if how == "lazy":
        import a_library_that_nobody_has
'''
METADATA = "Metadata-Version: 2.1\nName: sampleroom\nVersion: 1\n"
ENTRIES = """[hakari.commands]
sample = sampleroom:sample
needs = sampleneeds:needs
odd = sampleroom:COMMAND_THAT_IS_NONE
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "sampleroom.py").write_text(COMMANDS + "COMMAND_THAT_IS_NONE = 3\n")
    (tmp_path / "sampleneeds.py").write_text("import a_library_that_nobody_has\n")
    info = tmp_path / "sampleroom-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRIES)
    return tmp_path


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command with the sample's commands beside the real ones; they need the extra `edge`."""
    start = (
        "import sys; from hakari.cli import root;"
        "root.COMMANDS.update(sample=root.Listed('A sample.', 'edge'), needs=root.Listed('Needs.', 'edge'));"
        "sys.exit(root.main())"
    )
    environ = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{Path(hakari.__file__).parents[1]}"}
    command = [sys.executable, "-c", start, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("how", "code"), [("fine", 0), ("five", 5), ("six", 6), ("reach", 4), ("interrupt", 130)])
def test_exit_codes(site: Path, how: str, code: int) -> None:
    done = run(site, "sample", how)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_one_line(site: Path) -> None:
    done = run(site, "sample", "reach")
    assert done.stderr == "error: meter m1 does not answer at 127.0.0.1:1; check its cable\n"
    assert done.stdout == ""


def test_an_error_for_programs(site: Path) -> None:
    done = run(site, "sample", "reach", "--json")
    assert json.loads(done.stderr) == {
        "error": "meter m1 does not answer at 127.0.0.1:1; check its cable",
        "exit_code": 4,
    }


@pytest.mark.parametrize("how", ["fault", "socket"])
def test_our_own_fault_says_so(site: Path, how: str) -> None:
    done = run(site, "sample", how)
    assert done.returncode == 1
    first, *rest = done.stderr.splitlines()
    assert first.startswith("error: our own fault: ")
    assert rest[0].startswith("Traceback")


def test_a_reader_that_leaves_ends_it_quietly(site: Path) -> None:
    start = "import sys; from hakari.cli import root; sys.exit(root.main(['sample', 'pipe']))"
    environ = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{Path(hakari.__file__).parents[1]}"}
    command = [sys.executable, "-c", start]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        errors = process.stderr.read()
        assert (process.wait(60), errors) == (0, b"")


@pytest.mark.parametrize("arguments", [("needs",), ("sample", "lazy")])
def test_a_missing_extra_is_named(site: Path, arguments: tuple[str, ...]) -> None:
    done = run(site, *arguments)
    assert done.returncode == 3
    assert done.stderr == (
        f"error: hakari {arguments[0]} needs the extra: pip install 'hakari[edge]'"
        " (module a_library_that_nobody_has is not installed)\n"
    )


def test_a_module_that_some_files_need_names_its_own_extra() -> None:
    error = ModuleNotFoundError("No module named 'openpyxl'", name="openpyxl")
    with pytest.raises(cli.ExtraMissing, match=r"pip install 'hakari\[points\]' \(module openpyxl is not installed\)"):
        cli._name_extra("edge", error)


def test_an_entry_point_that_is_no_command_is_our_fault(site: Path) -> None:
    done = run(site, "odd")
    assert done.returncode == 1
    assert "is not a Click command" in done.stderr


def test_help_loads_no_room(site: Path) -> None:
    done = run(site, "--help")
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in cli.COMMANDS)


def test_usage(site: Path) -> None:
    done = run(site, "sampel")
    assert done.returncode == 2
    assert "Did you mean 'sample'?" in done.stderr
    assert json.loads(run(site, "nothing-like-it", "--json").stderr)["exit_code"] == 2
    assert run(site, "sample").returncode == 2


def test_version(site: Path) -> None:
    assert run(site, "--version").stdout == f"hakari {hakari.__version__}\n"


def test_every_listed_command_is_an_entry_point_and_back() -> None:
    entries: dict[str, EntryPoint] = cli._entries()
    ours = {name for name, entry in entries.items() if entry.dist is not None and entry.dist.name == "hakari"}
    assert ours == set(cli.COMMANDS)


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_loads(name: str) -> None:
    command = cli.root.get_command(click.Context(cli.root), name)
    assert isinstance(command, click.Command)
    assert command.name == name


def test_error_classes_end_with_their_codes() -> None:
    assert (NotReachable.exit_code, DataProblem.exit_code, Refused.exit_code) == (4, 5, 6)


def test_table() -> None:
    text = table(("plant", "MWh"), [("太陽", "1.5"), ("a\x1b[2J", 22)], right=(1,))
    assert text.splitlines() == ["plant  MWh", "─────  ───", "太陽   1.5", "a�[2J   22"]
