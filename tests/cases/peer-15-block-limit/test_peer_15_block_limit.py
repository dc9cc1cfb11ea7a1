"""A limit that nobody stated: everything is read in the first sample, and later without a refusal."""

from __future__ import annotations

import pytest

from tests.unit.edge_lines import Device, Plant, counter, profile_of


@pytest.mark.parametrize("code", [2, 3])
@pytest.mark.parametrize("most", [2, 8, 50, 100, 124])
def test_everything_is_read_below_an_unstated_limit(most: int, code: int) -> None:
    plant = Plant({1: Device(most=most, too_long=code)}, profile_of([counter(2 * k) for k in range(60)]))
    for _ in range(12):
        plant.slot()
    plant.line.taken()
    blocks = plant.slot().blocks
    assert [block.error for block in blocks] == [""] * len(blocks)
    assert sum(count for _, _, count in plant.line.taken()) == 120
