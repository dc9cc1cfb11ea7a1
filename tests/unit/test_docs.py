"""The documentation against the code: every command and every settings key stands in it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from hakari.cli import root as cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def generator(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_page", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(command: click.Command, name: str) -> Iterator[str]:
    """`hakari`'s commands down to the last one, as one types them; hidden ones are not told."""
    if isinstance(command, click.Group):
        for each, inner in command.commands.items():
            if not inner.hidden:
                yield from commands(inner, f"{name} {each}")
    else:
        yield name


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_is_documented(name: str) -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = " ".join(" ".join(page.read_text().split()) for page in pages)
    command = cli.root.get_command(click.Context(cli.root), name)
    assert command is not None
    unsaid = [each for each in commands(command, f"hakari {name}") if each not in text]
    assert not unsaid


@pytest.mark.parametrize("name", ["configuration", "commands", "methodologies", "meters"])
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    assert (ROOT / "docs" / f"{name}.md").read_text() == generator(name).page(), "run `make docs`"


def test_every_room_with_settings_is_on_the_page() -> None:
    assert {file.room for file in generator("configuration").files()} >= {"edge", "ingest", "simulate", "api", "calc"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = [link.partition("#")[0] for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []
