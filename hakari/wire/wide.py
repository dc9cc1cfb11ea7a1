"""Rows of readings as they come: one meter's of one sample together, and as single rows for whoever wants those.

Guaranteed: `Rows` is the same sequence of rows however they are kept. Times are UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple, overload

from hakari.errors import DataProblem
from hakari.names import point_id


class RowsRefused(DataProblem):
    """A leaf, or one of its parts, cannot become rows."""


class Row(NamedTuple):
    """One reading.

    `point` is `{edge id}/{meter}/{point}`; `t_ms` the slot; raw, type, exponent and quality as in
    `hakari.registers.reading`; (epoch, leaf) where its evidence is; (boot, mono_ms) its identity together with
    the point.
    """

    point: str
    t_ms: int
    type: str
    raw: int
    exponent: int
    quality: int
    reason: str
    epoch: int
    leaf: int
    boot: str
    mono_ms: int


class Shape:
    """What the rows of one meter have in common from sample to sample; one object for the same, hashed as such."""

    __slots__ = ("edge_id", "exponents", "meter", "names", "points", "qualities", "reasons", "types")

    def __init__(self, edge_id: str, meter: str, names: Sequence[str], types: Sequence[str], exponents: Sequence[int],
                 qualities: Sequence[int], reasons: Sequence[str]) -> None:  # fmt: skip
        """Columns of one length, in the order of the rows."""
        self.edge_id = edge_id
        self.meter = meter
        self.names = tuple(names)
        self.points = tuple(point_id(edge_id, meter, name) for name in names)
        self.types = tuple(types)
        self.exponents = tuple(exponents)
        self.qualities = tuple(qualities)
        self.reasons = tuple(reasons)


class Wide(NamedTuple):
    """The rows of one meter in one sample; `raws` in the order of the shape, the others as in `Row`."""

    shape: Shape
    t_ms: int
    epoch: int
    leaf: int
    boot: str
    mono_ms: int
    raws: tuple[int, ...]

    def rows(self) -> Iterator[Row]:
        """The same as single rows."""
        shape, t_ms, epoch, leaf, boot, mono_ms, raws = self
        return map(
            Row, shape.points, repeat(t_ms), shape.types, raws, shape.exponents, shape.qualities, shape.reasons,
            repeat(epoch), repeat(leaf), repeat(boot), repeat(mono_ms),
        )  # fmt: skip

    def some(self, places: Iterable[int]) -> Iterator[Row]:
        """The rows at `places` alone."""
        shape, t_ms, epoch, leaf, boot, mono_ms, raws = self
        for k in places:
            yield Row(
                shape.points[k], t_ms, shape.types[k], raws[k], shape.exponents[k], shape.qualities[k],
                shape.reasons[k], epoch, leaf, boot, mono_ms,
            )  # fmt: skip


class Rows(Sequence[Row]):
    """Rows in order, kept wide where they are; single ones are made when they are asked for."""

    def __init__(self, parts: Sequence[Wide | Row]) -> None:
        """`parts` in the order of their rows."""
        self.parts = parts
        self._rows: list[Row] | None = None

    def __len__(self) -> int:
        return sum(len(part.raws) if isinstance(part, Wide) else 1 for part in self.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._all() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._all())

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...

    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        return self._all()[at]

    def among(self, points: Container[str]) -> Iterator[Row]:
        """The rows of `points` in order, without making the others."""
        for part in self.parts:
            if isinstance(part, Row):
                if part.point in points:
                    yield part
                continue
            wanted = [point in points for point in part.shape.points]
            if any(wanted):
                yield from part.some([k for k, one in enumerate(wanted) if one])

    def series(self) -> list[list[Wide]]:
        """What each meter of an edge gave, in order; nothing unless all is wide and each meter of one shape."""
        found: dict[str, list[Wide]] = {}
        for part in self.parts:
            if not isinstance(part, Wide):
                return []
            wides = found.setdefault(part.shape.meter, [])
            if wides and wides[0].shape is not part.shape:
                return []
            wides.append(part)
        return list(found.values())

    def _all(self) -> list[Row]:
        if self._rows is None:
            rows: list[Row] = []
            for part in self.parts:
                if isinstance(part, Wide):
                    rows.extend(part.rows())
                else:
                    rows.append(part)
            self._rows = rows
        return self._rows
