"""Runs every benchmark, or those named: `python -m bench [name …] [--json]`.

A benchmark is a module of this folder with `run() -> list[Result]`; each result names the peer or limit that
it is measured against in the same run, and the table gives the ratio. One that lacks what it needs raises
`Skipped` with the reason. README.md says how to read the table.
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

SCAFFOLD = frozenset(
    {
        "__main__", "broker_runs", "many_values", "material", "meter", "month", "reader_bare", "reader_edge", "result",
        "served_meters", "year_child",
    }
)  # fmt: skip
HEAD = ("what", "measured", "unit", "against", "theirs", "ratio", "allowed", "holds")


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
    told = [{**result._asdict(), "ratio": result.ratio, "holds": result.holds} for result in results]
    print(json_text(told) if "--json" in arguments else table(HEAD, [_row(r) for r in results], right=(1, 4, 5)))
    return 0 if all(result.holds for result in results) else 1


def _row(result: Result) -> tuple[str, ...]:
    sign, held = "≤" if result.better == "lower" else "≥", "yes" if result.holds else "NO"
    ratio = f"{result.ratio:.3g}"
    numbers = (_number(result.measured), result.unit, result.against, _number(result.reference))
    return (result.name, *numbers, ratio, f"{sign} {result.allowed:g}", held)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
