"""What every adapter of the readings view refuses to write: rows that are not of the leaves which the writer names."""

from __future__ import annotations

from collections.abc import Sequence

from hakari.store.blocks import RAW_LIMIT
from hakari.store.sqlite import StoreMisused
from hakari.store.view import Refusal
from hakari.wire.wide import Row, Rows, Wide


def check_places(
    edge_id: str, epoch: int, start: int, upto: int, rows: Sequence[Row], refused: Sequence[Refusal]
) -> None:
    """Nothing, if rows and refusals are of leaves start ≤ leaf < upto of (edge, epoch); StoreMisused otherwise."""
    for row in [] if _all_fit(edge_id, epoch, start, upto, rows) else rows:
        if row.epoch != epoch or not start <= row.leaf < upto or not row.point.startswith(f"{edge_id}/"):
            raise StoreMisused(f"row of {row.point} {row.epoch}/{row.leaf} is not of {edge_id} {epoch}/{start}..{upto}")
        if not 0 <= row.raw < RAW_LIMIT:
            raise StoreMisused(f"raw {row.raw} of {row.point} is no bit pattern of 64 bits")
    for refusal in refused:
        if (refusal.edge_id, refusal.epoch) != (edge_id, epoch) or not start <= refusal.leaf < upto:
            raise StoreMisused(f"refusal of {refusal.epoch}/{refusal.leaf} is not of {edge_id} {epoch}/{start}..{upto}")


def _all_fit(edge_id: str, epoch: int, start: int, upto: int, rows: Sequence[Row]) -> bool:
    """Whether no row needs a second look; its work is done a column at a time."""
    if isinstance(rows, Rows):
        return all(
            _fits(edge_id, epoch, start, upto, part)
            if isinstance(part, Wide)
            else _all_fit(edge_id, epoch, start, upto, [part])
            for part in rows.parts
        )
    if not rows:
        return True
    leaves, raws = [row.leaf for row in rows], [row.raw for row in rows]
    return (
        {row.epoch for row in rows} == {epoch}
        and start <= min(leaves)
        and max(leaves) < upto
        and min(raws) >= 0
        and max(raws) < RAW_LIMIT
        and all(point.startswith(f"{edge_id}/") for point in {row.point for row in rows})
    )


def _fits(edge_id: str, epoch: int, start: int, upto: int, wide: Wide) -> bool:
    of_place = wide.epoch == epoch and start <= wide.leaf < upto and wide.shape.edge_id == edge_id
    return of_place and min(wide.raws) >= 0 and max(wide.raws) < RAW_LIMIT
