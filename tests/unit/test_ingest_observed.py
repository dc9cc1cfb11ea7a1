"""What a running ingest shows of itself over HTTP: as the loop told it, and nothing that can be changed."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingest.observed import LOOP_LIMIT_S, CannotListen, Observed, Seen
from simulate.layout import free_ports

WELL = Seen(
    "", "", connected=True, outcomes={"appended": 7, "duplicate": 2}, quarantined=(3, 99, 1), behind=4, roster_serial=5
)


class Clock:
    """Machine time that stands until it is set."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def observed(clock: Clock, tmp_path: Path) -> Iterator[Observed]:
    made = Observed(f"127.0.0.1:{free_ports(1)[0]}", tmp_path, clock)
    made.start()
    yield made
    made.stop()


def ask(observed: Observed, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{observed.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_are_those_of_the_last_round(observed: Observed, clock: Clock) -> None:
    observed.beat(WELL)
    observed.group(5, 0.004)
    clock.s += 2
    families = {one.name: one for one in text_string_to_metric_families(ask(observed, "/metrics")[1])}
    found = {
        name: {tuple(one.labels.values()): one.value for one in family.samples} for name, family in families.items()
    }
    assert found["hakari_ingest_messages"] == {("appended",): 7, ("duplicate",): 2}
    assert found["hakari_ingest_view_origins_behind"] == {(): 4}
    assert found["hakari_ingest_quarantine_messages"] == {(): 3}
    assert found["hakari_ingest_loop_age_seconds"] == {(): 2}
    assert found["hakari_ingest_disk_free_bytes"][()] > 0
    assert found["process_resident_memory_bytes"][()] > 0
    sums = [one.value for one in families["hakari_ingest_group_messages"].samples if one.name.endswith("_sum")]
    assert sums == [5]


def test_healthy_is_a_loop_that_came_round_lately(observed: Observed, clock: Clock) -> None:
    assert ask(observed, "/healthz") == (503, '{"healthy": false}')
    observed.beat(WELL)
    assert ask(observed, "/healthz") == (200, '{"healthy": true}')
    clock.s += LOOP_LIMIT_S + 1
    assert ask(observed, "/healthz")[0] == 503
    assert ask(observed, "/readyz")[0] == 503


def test_a_source_that_has_stopped_is_seen_and_keeps_nothing_else_from_its_work(observed: Observed) -> None:
    observed.beat(WELL)
    assert "hakari_ingest_sources_working 1.0" in ask(observed, "/metrics")[1]
    observed.beat(WELL._replace(without="no view", sources="source js has stopped"))
    assert "hakari_ingest_sources_working 0.0" in ask(observed, "/metrics")[1]
    status, said = ask(observed, "/readyz")
    assert (status, json.loads(said)["without"]) == (200, "no view; source js has stopped")


def test_ready_is_one_that_may_work_and_says_what_it_does_without(observed: Observed) -> None:
    observed.beat(WELL._replace(without="InfluxDB gives no answer"))
    status, said = ask(observed, "/readyz")
    assert (status, json.loads(said)) == (200, {"ready": True, "trouble": "", "without": "InfluxDB gives no answer"})
    for hindered in (WELL._replace(trouble="the broker refuses us"), WELL._replace(connected=False)):
        observed.beat(hindered)
        assert ask(observed, "/readyz")[0] == 503


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_there_is_nothing_to_write_and_nothing_else_to_see(observed: Observed, method: str) -> None:
    assert ask(observed, "/metrics", method)[0] == 405
    assert ask(observed, "/../evidence.db")[0] == 404


def test_an_address_that_is_taken_is_refused(observed: Observed, tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match="cannot listen there"):
        Observed(f"127.0.0.1:{observed.port}", tmp_path).start()


def test_without_an_address_nothing_listens(tmp_path: Path) -> None:
    silent = Observed("", tmp_path)
    silent.start()
    silent.beat(WELL)
    assert silent.port == 0
    silent.stop()
