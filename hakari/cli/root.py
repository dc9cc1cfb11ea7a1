"""The command `hakari`: loads each room's commands when they are called, and ends with the right exit code.

A command returns nothing, or the exit code that it ends with; it raises a HakariError for everything that
a user can act on. Whatever else escapes is our own fault: one line, the traceback, exit code 1.
"""

from __future__ import annotations

import difflib
import os
import select
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from types import TracebackType
from typing import NamedTuple

import click

import hakari
from hakari.cli.output import error_object, printable
from hakari.errors import INTERRUPTED, USAGE, BadConfiguration, HakariError

GROUP = "hakari.commands"
STDOUT_FILENO = 1


class Listed(NamedTuple):
    """What `hakari --help` says of a command without loading it, and the extra that it needs."""

    summary: str
    extra: str


COMMANDS = {
    "demo": Listed("Run four plants and the whole chain on this machine.", "all"),
    "simulate": Listed("Plants that speak Modbus, a broker, and the lockstep driver.", "simulate"),
    "edge": Listed("Read meters, sign what they say and publish it.", "edge"),
    "ingest": Listed("Take signed leaves from the broker into the evidence log.", "ingest"),
    "import": Listed("Import manual readings, invoices and files.", "ingest"),
    "view": Listed("Look at decoded readings, or rebuild them.", "ingest"),
    "log": Listed("Check the evidence log.", "ingest"),
    "quarantine": Listed("Look at what could not be taken.", "ingest"),
    "calc": Listed("Compute periods.", "calc"),
    "project": Listed("Register and show projects.", "calc"),
    "period": Listed("Show and lock monitoring periods.", "calc"),
    "methodology": Listed("Show methodologies and their standing.", "calc"),
    "pack": Listed("Write evidence packs.", "calc"),
    "verify": Listed("Re-derive a pack's total offline.", "verify"),
    "api": Listed("Serve the HTTP API.", "api"),
    "user": Listed("Create and revoke the API's users.", "api"),
    "keys": Listed("Create keys and sign the roster.", ""),
    "grafana": Listed("Check and sync the dashboards of a Grafana that we do not own.", "grafana"),
}
# Modules that one command needs only for some files, with an extra of their own.
_EXTRA_OF = {"openpyxl": "points"}
_OWN_PACKAGES = frozenset({"hakari", "edge", "ingest", "calc", "api", "simulate", "grafana"})


class ExtraMissing(BadConfiguration):
    """A command's room is not installed with what it needs."""


class Root(click.Group):
    """A group whose commands are the entry points of `hakari.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every installed command, in the order of the table, then by name."""
        del ctx
        order = list(COMMANDS)
        return sorted(_entries(), key=lambda name: (order.index(name) if name in order else len(order), name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, loaded now; ExtraMissing names the extra to install."""
        del ctx
        entry = _entries().get(cmd_name)
        if entry is None:
            return None
        try:
            command = entry.load()
        except ModuleNotFoundError as error:
            _name_extra(cmd_name, error)
            raise
        if not isinstance(command, click.Command):
            raise TypeError(f"entry point {entry.name} = {entry.value} is not a Click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Click's own, but an unknown name never loads every room to look for a similar one."""
        name = args[0]
        if name not in _entries() and not name.startswith("-"):
            near = _nearest(name, self.list_commands(ctx))
            ctx.fail(f"No such command {name!r}.{near} See: hakari --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, written without loading a room."""
        rows = [(name, COMMANDS[name].summary if name in COMMANDS else "") for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; a reader that went away (`| head`) ends it quietly."""
        try:
            result: object = super().invoke(ctx)
            sys.stdout.flush()
        except ModuleNotFoundError as error:
            _name_extra(ctx.invoked_subcommand or "", error)
            raise
        except BrokenPipeError as error:
            if not _stdout_is_broken():  # Click would end any other broken pipe without a word
                raise RuntimeError("a connection broke and nobody handled it") from error
            return 0
        return result


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _name_extra(command: str, error: ModuleNotFoundError) -> None:
    """Raises the sentence that names the extra, where the module that lacks is a foreign one."""
    top = (error.name or "").split(".")[0]
    extra = _EXTRA_OF.get(top) or (COMMANDS[command].extra if command in COMMANDS else "")
    if extra and top and top not in _OWN_PACKAGES and top not in sys.stdlib_module_names:
        raise ExtraMissing(
            f"hakari {command} needs the extra: pip install 'hakari[{extra}]' (module {top} is not installed)"
        ) from error


def _stdout_is_broken() -> bool:
    """Whether stdout's reader is gone; if so what is buffered goes nowhere, so that leaving is quiet."""
    poller = select.poll()
    poller.register(STDOUT_FILENO, select.POLLOUT)
    if not any(events & select.POLLERR for _, events in poller.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT_FILENO)
    return True


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(hakari.__version__, prog_name="hakari", message="%(prog)s %(version)s")
def root() -> None:
    """From a meter's register to a tonne of reduced emissions that anyone can re-derive.

    Exit codes: 0 fine, 1 our own fault, 2 usage, 3 bad configuration, 4 not reachable,
    5 data problem found, 6 refused, 130 interrupted.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line and gives the exit code; what is our own fault leaves as the exception it is."""
    arguments = list(sys.argv[1:] if args is None else args)
    sys.excepthook = _own_fault
    as_json = "--json" in arguments
    try:
        result = root.main(arguments, prog_name="hakari", standalone_mode=False)
    except HakariError as error:
        return _report(str(error), error.exit_code, as_json)
    except click.ClickException as error:
        if not as_json:
            error.show()
            return USAGE
        return _report(error.format_message(), USAGE, as_json)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _report(sentence: str, code: int, as_json: bool) -> int:
    click.echo(error_object(sentence, code) if as_json else f"error: {printable(sentence)}", err=True)
    return code


def _own_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's last words for an exception that nobody caught; Python then ends with 1."""
    sentence = f"our own fault: {kind.__name__}: {error}; please report it with the lines below"
    click.echo(error_object(sentence, 1) if "--json" in sys.argv else f"error: {sentence}", err=True)
    traceback.print_exception(kind, error, trace)
