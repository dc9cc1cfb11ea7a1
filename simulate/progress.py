"""The progress bar of a lockstep run, on standard error; nothing is drawn where that is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from simulate import driver
from simulate.plant import shown


@contextmanager
def bar(total: int) -> Iterator[Callable[[driver.Progress], None]]:
    """A bar over `total` ticks that shows the plant's time; what it gives is a `Driver.run` progress callback."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as drawn:
        task = drawn.add_task("plant time", total=total)

        def report(at: driver.Progress) -> None:
            drawn.update(task, completed=at.done, description=shown(at.t_ms))

        yield report
