"""Runs every benchmark, or those named: `python -m bench [name …] [--json]`.

A benchmark is a module of this folder with `run() -> list[Result]`; each result names the peer or limit that
it is measured against. One that lacks what it needs raises `Skipped` with the reason.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Sequence

import bench
from bench.result import Result, Skipped
from hakari.cli.output import json_text, table
from hakari.errors import USAGE

SCAFFOLD = frozenset({"__main__", "result"})


def names() -> list[str]:
    """Every benchmark, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if module.name not in SCAFFOLD)


def main(arguments: Sequence[str]) -> int:
    """Runs what is named (all if nothing is) and gives 1 where a limit is missed."""
    wanted = [argument for argument in arguments if argument != "--json"]
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"error: no benchmark {', '.join(unknown)}; there are {', '.join(names())}", file=sys.stderr)
        return USAGE
    results: list[Result] = []
    for name in wanted or names():
        print(f"bench: {name}", file=sys.stderr)
        run: Callable[[], list[Result]] = importlib.import_module(f"bench.{name}").run
        try:
            results += run()
        except Skipped as reason:
            print(f"bench: {name} skipped: {reason}", file=sys.stderr)
    rows = [(r.name, f"{r.measured:g}", r.unit, r.against, f"{r.limit:g}", "yes" if r.holds else "NO") for r in results]
    head = ("what", "measured", "unit", "against", "limit", "holds")
    print(json_text(results) if "--json" in arguments else table(head, rows, right=(1, 4)))
    return 0 if all(result.holds for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
