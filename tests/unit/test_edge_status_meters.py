"""`hakari edge status` lists every meter, out of what a running edge committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.commission.identity import Known, identity_key, text_of_note
from edge.library import profile
from edge.run import Edge
from edge.status import Status, shown, status
from edge.status_meters import MeterStatus, state_of
from tests.unit.edge_folder import edge_on, settings_in
from tests.unit.edge_lines import SLOT_MS, Device, FakeLine, Hands

BODY = """
[[bus]]
id = "line"
host = "127.0.0.1"
[[meter]]
id = "heat"
bus = "line"
unit = 1
profile = "schneider-iem3155"
[[meter]]
id = "steam"
bus = "line"
unit = 2
profile = "schneider-iem3155"
identity_proof = "seal 4711"
"""


async def _run(config: Path, slots: int, change: Callable[[int, Edge, FakeLine], None]) -> Status:
    hands = Hands()
    line = FakeLine(hands, {1: Device(words=65_536), 2: Device(words=65_536)})
    edge = edge_on(config, hands, {"line": line})
    for k in range(slots):
        hands.wait(SLOT_MS + 10_000 * k - hands.wall_ms)
        change(k, edge, line)
        await edge.take(SLOT_MS + 10_000 * k)
    told = status(config)  # beside the edge, which holds the spool
    edge.close()
    return told


def test_a_meter_that_stopped_to_answer_says_since_when(tmp_path: Path) -> None:
    def silence(k: int, _edge: Edge, line: FakeLine) -> None:
        line.devices[2].silent = k >= 2

    told = asyncio.run(_run(settings_in(tmp_path, BODY, interval_s=10), 5, silence))
    heat, steam = told.meters
    assert (heat.last_answer_ms, heat.silent_since_ms, heat.error) == (SLOT_MS + 40_000, 0, "")
    assert (steam.last_answer_ms, steam.silent_since_ms) == (SLOT_MS + 10_000, SLOT_MS + 20_000)
    assert steam.error == "timeout"
    assert heat.measured > 0
    text = shown(told)
    assert "no answer since 2023-11-14T22:13:50+00:00: timeout" in text
    assert "proof seal 4711" in text


def test_a_suspended_meter_counts_nothing_and_says_why(tmp_path: Path) -> None:
    def suspend(k: int, edge: Edge, _line: FakeLine) -> None:
        if k == 1:
            edge.spool.put_note(identity_key("heat"), text_of_note(Known({"serial": "A"}, "serial was 'A'")))

    heat = asyncio.run(_run(settings_in(tmp_path, BODY, interval_s=10), 2, suspend)).meters[0]
    assert (heat.counting, heat.suspended, heat.identity) == (0, "serial was 'A'", {"serial": "A"})


def test_refused_points_are_named_and_do_not_count(tmp_path: Path) -> None:
    counter = next(one for one in profile("schneider-iem3155", Path()).points if one.kind == "counter")

    def holes(_k: int, _edge: Edge, line: FakeLine) -> None:
        line.devices[1].holes = frozenset({counter.address})

    heat, steam = asyncio.run(_run(settings_in(tmp_path, BODY, interval_s=10), 2, holes)).meters
    assert (heat.refused, steam.refused) == ([counter.name], [])
    assert state_of(heat, "") == f"answers; refuses {counter.name}"


def test_settings_whose_profile_is_gone_still_tell_the_rest(tmp_path: Path) -> None:
    config = settings_in(tmp_path, BODY, interval_s=10)
    asyncio.run(_run(config, 1, lambda *_: None))
    config.write_text(config.read_text().replace("schneider-iem3155", "gone.toml"))
    told = status(config)
    assert (told.last_slot_ms, told.meters) == (SLOT_MS, [])
    assert "meters: not told, " in shown(told)


def test_another_meter_s_answer_is_told() -> None:
    one = MeterStatus("m", "b", 1, 5, 0, "identity mismatch: serial holds 'A', not 'B'", [], "", 0, 3, {}, "")
    assert state_of(one, "") == "another meter answers, identity mismatch: serial holds 'A', not 'B'"
    assert state_of(msgspec.structs.replace(one, error="", last_answer_ms=0), "") == "no sample of it yet"
