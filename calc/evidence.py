"""What a result may rest on: the edges' evidence before a cut, and nothing after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from calc.leaves import EdgeEvidence, Facts, Frozen, Imported, within
from calc.trail import Clock, Stand
from hakari.ledger.result import Cut
from hakari.wire.rows import Row

Span = tuple[int, int]


class Evidence(NamedTuple):
    """Rows and facts by point, the cuts that bound them, configurations in force and what could not be read.

    `frozen` has for each point the times (after, until] at which its meter repeated itself word for word; they come
    from leaves alone, whatever the rows come from. So do `stands`, what was in force for each point over time, and
    `clocks`, by edge how its leaves were dated. `lost` has by edge where runs of leaves without bodies begin, in order;
    `imported` by (log, epoch) of ingest's own the events of its imports, in order.
    """

    rows: Mapping[str, list[Row]]
    facts: Mapping[str, list[Facts]]
    cuts: list[Cut]
    configurations: list[str]
    problems: list[str]
    frozen: Mapping[str, list[Span]] = {}
    stands: Mapping[str, list[Stand]] = {}
    clocks: Mapping[str, Clock] = {}
    lost: Mapping[str, list[tuple[int, int]]] = {}
    imported: Mapping[tuple[str, int], list[Imported]] = {}


def evidence_of(edges: Sequence[EdgeEvidence], sizes: Mapping[str, Mapping[int, int]], cuts: list[Cut]) -> Evidence:
    """The evidence of `edges` before the cut of `sizes` (edge id → epoch → leaves), which `cuts` sign for."""
    rows: dict[str, list[Row]] = {}
    facts: dict[str, list[Facts]] = {}
    configurations: set[str] = set()
    problems: list[str] = []
    frozen: dict[str, list[Span]] = {}
    stands: dict[str, list[Stand]] = {}
    clocks: dict[str, Clock] = {}
    lost: dict[str, list[tuple[int, int]]] = {}
    imported: dict[tuple[str, int], list[Imported]] = {}
    for edge in edges:
        cut = sizes.get(edge.edge_id, {})
        for point, found in edge.rows.items():
            rows[point] = [row for row in found if within(cut, row.epoch, row.leaf)]
            frozen[point] = _joined(one for one in edge.frozen[point.split("/")[1]] if within(cut, one.epoch, one.leaf))
            facts[point] = [fact for fact, place in edge.facts[point].items() if within(cut, *place)]
        configurations |= {sha256 for sha256, place in edge.configurations.items() if within(cut, *place)}
        stands |= edge.trail.stands(edge.edge_id, edge.points, edge.known, cut, in_order=not edge.is_source)
        clocks[edge.edge_id] = edge.trail.clock(cut)
        lost[edge.edge_id] = sorted(place for place in edge.lost if within(cut, *place))
        for epoch, told in edge.imported.items():
            imported[edge.edge_id, epoch] = [one for one in told if within(cut, epoch, one.leaf)]
        problems += [str(one) for one in edge.problems if within(cut, one.epoch, one.leaf)]
    return Evidence(rows, facts, cuts, sorted(configurations), problems, frozen, stands, clocks, lost, imported)


def _joined(found: Iterable[Frozen]) -> list[Span]:
    """Spans of which none ends where another goes on."""
    spans: list[Span] = []
    for one in sorted(found):
        if spans and one.after_ms <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], one.until_ms))
        else:
            spans.append((one.after_ms, one.until_ms))
    return spans
