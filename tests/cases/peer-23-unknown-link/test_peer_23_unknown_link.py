"""A meter that goes and comes back is told once each, however often it is asked in between."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from tests.unit.edge_folder import edge_on, one_meter, settings_in
from tests.unit.edge_lines import SLOT_MS, Device, FakeLine, Hands


async def _run(config: Path, silent: list[bool]) -> None:
    hands = Hands()
    line = FakeLine(hands, {1: Device()})
    edge = edge_on(config, hands, {"line": line})
    for k, away in enumerate(silent):
        hands.wait(SLOT_MS + 10_000 * k - hands.wall_ms)
        line.devices[1].silent = away
        await edge.take(SLOT_MS + 10_000 * k)
    edge.close()


def test_silence_and_return_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = settings_in(tmp_path, one_meter("spirax-sarco-tva"), interval_s=10)
    with caplog.at_level(logging.INFO, "hakari.edge"):
        asyncio.run(_run(config, [False, *[True] * 6, *[False] * 6]))
    told = [one.getMessage() for one in caplog.records if "answers" in one.getMessage()]
    assert told == ["meter heat answers nothing: timeout", "meter heat answers again"]
