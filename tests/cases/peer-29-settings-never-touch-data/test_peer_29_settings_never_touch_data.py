"""Which settings may change under a running edge: none that says where its data is or whose it is."""

from __future__ import annotations

import msgspec
import pytest

from edge.reload import FREE_KEYS, RestartNeeded, check_reload
from edge.settings import BusTable, EdgeTable, MeterTable, Settings
from hakari.lockstep import ClockTable
from hakari.mqtt import BrokerSettings

TOLD = Settings(
    EdgeTable("plant.example", "sola", "e1", "edge.pem", "owner", "roster.note", "edge.spool", 900),
    BrokerSettings(host="broker.example"),
    [BusTable("b1", host="192.0.2.1")],
    [MeterTable("m1", "b1", 1, "abb-b23")],
    ClockTable(),
)
FIXED = [name for name in msgspec.structs.asdict(TOLD.edge) if name not in FREE_KEYS]


def with_edge(**changes: object) -> Settings:
    return msgspec.structs.replace(TOLD, edge=msgspec.structs.replace(TOLD.edge, **changes))


@pytest.mark.parametrize("key", FIXED)
def test_what_an_edge_is_and_where_it_keeps_its_data_needs_a_restart(key: str) -> None:
    assert {"spool", "key_file", "site", "name", "namespace"} <= set(FIXED)
    before = getattr(TOLD.edge, key)
    changed = with_edge(**{key: f"{before}x" if isinstance(before, str) else before + 1})
    with pytest.raises(RestartNeeded, match=rf"\[edge\].{key} has changed, which needs a restart"):
        check_reload(TOLD, changed)


def test_another_broker_or_clock_needs_a_restart() -> None:
    other = msgspec.structs.replace(TOLD, broker=BrokerSettings(host="other.example"))
    with pytest.raises(RestartNeeded, match=r"\[broker\].host"):
        check_reload(TOLD, other)
    clock = msgspec.structs.replace(TOLD, clock=ClockTable("lockstep", "127.0.0.1:1"))
    with pytest.raises(RestartNeeded, match=r"\[clock\].source"):
        check_reload(TOLD, clock)


def test_what_is_read_and_how_often_may_change() -> None:
    check_reload(TOLD, with_edge(interval_s=60, batch_samples=15, ring_days=30, max_lag_s=5))
    check_reload(TOLD, msgspec.structs.replace(TOLD, buses=[BusTable("b2", host="192.0.2.2")], meters=[]))
