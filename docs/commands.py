"""Writes docs/commands.md from the commands themselves: `make docs`. A test holds the page to what this prints."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from hakari.cli.root import COMMANDS, root

HEAD = """# Commands

Written from the code by `make docs`; do not edit. Every command takes `--help`.

Exit codes: 0 fine, 1 our own fault, 2 usage, 3 bad configuration, 4 not reachable, 5 data problem found, 6 refused,
130 interrupted. Where a command takes `--json`, an error is one JSON object on stderr too.
"""


def page() -> str:
    """The whole page."""
    context = click.Context(root, info_name="hakari")
    lines = [HEAD]
    for name in COMMANDS:
        command = root.get_command(context, name)
        if command is None:
            raise LookupError(f"command {name} is listed and has no entry point; install the checkout again")
        lines += section(command, click.Context(command, parent=context, info_name=name))
    return "\n".join(lines).rstrip() + "\n"


def section(command: click.Command, context: click.Context) -> Iterator[str]:
    """One command, then those below it; hidden ones are not told."""
    level = "##" if context.parent is not None and context.parent.parent is None else "###"
    yield f"{level} `{context.command_path}`"
    yield ""
    yield inspect.cleandoc(command.help or "").replace("\b\n", "").strip()
    yield ""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            if not inner.hidden:
                yield from section(inner, click.Context(inner, parent=context, info_name=name))
        return
    yield f"    {context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield ""
    told = (parameter.get_help_record(context) for parameter in command.params)
    rows = [f"- `{name}` {' '.join(help_.split())}".rstrip() for name, help_ in (each for each in told if each)]
    if rows:
        yield from rows
        yield ""


if __name__ == "__main__":
    print(page(), end="")
