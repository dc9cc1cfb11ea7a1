"""The view's writer without a server: what goes compressed, in what steps, and what a partial refusal costs."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from hakari.influxdb import InfluxSettings
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.influx import AnswerUnreadable, Influx
from hakari.store.lines import Serializer
from hakari.store.view_influx import InfluxReadingsView
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row
from ingest.view import feed
from ingest.view.feed import Feeder
from tests.unit.influx_fake import TOKEN, FakeInflux, Forced
from tests.unit.ingest_world import EDGE, FIRST, SLOT, STEP_MS, Plant, configuration

LINES = [f"m n={k}i {k}" for k in range(100)]
NAMES = ("current", "energy", "power", "voltage")


def settings(fake: FakeInflux, *, compress: bool = True) -> InfluxSettings:
    return InfluxSettings(url=fake.url, token_file="unread", timeout_s=5.0, compress=compress)


@pytest.mark.parametrize("compress", [True, False])
def test_lines_go_compressed_unless_they_are_not_to(compress: bool) -> None:
    with FakeInflux() as fake, closing(Influx(settings(fake, compress=compress), TOKEN)) as influx:
        assert influx.taken(LINES)
        assert fake.lines == LINES
        ((_, size),) = fake.requests
        whole = len("\n".join(LINES))
        assert (size < whole / 2) if compress else (size == whole)
        assert fake.encodings == ["gzip" if compress else ""]


def test_of_refused_lines_the_offending_points_alone_are_given_back_and_the_others_stored_together() -> None:
    rows = [
        Row(f"sola-e1/meter/{name}", 1000 * leaf, "u32", 10 * leaf + k, 0, 0, "", 1, leaf, "boot", leaf)
        for leaf in range(5)
        for k, name in enumerate(NAMES)
    ]
    with FakeInflux() as fake, closing(InfluxReadingsView(settings(fake), TOKEN)) as view:
        fake.refuse = r"power\.raw=(12|32)i"
        made = Serializer().readings(rows)
        refused, lost = view._send(made)
        assert [one.row for one in refused] == [rows[6], rows[14]]
        assert all("unable to parse" in one.message for one in refused)
        assert lost == 0
        last = {line.rsplit(" ", 1)[1]: line for line in fake.lines}
        assert len(last) == 5
        assert sorted(line.count(".raw=") for line in last.values()) == [3, 3, 4, 4, 4]
        assert 'good=3i,shape="u32e0 current energy voltage"' in last["1000000001"]
        fake.refuse = "leaf=2i"
        refused, lost = view._send(made)
        assert ([one.row for one in refused], lost) == (rows[8:12], 1)


def test_an_endpoint_that_stores_the_good_lines_of_a_refused_request_loses_and_doubles_nothing() -> None:
    """As InfluxDB 3 documents it for partial writes: 400, the good lines are stored, the bad ones are told."""
    with FakeInflux() as fake, closing(Influx(settings(fake), TOKEN)) as influx:
        fake.drop, fake.partial_status = "n=42i", 400
        offenders = influx.write(LINES)
        assert [one.at for one in offenders] == [42]
        assert "partial write" in offenders[0].message
        assert set(fake.lines) == set(LINES) - {LINES[42]}


def test_what_cannot_read_back_in_messagepack_is_no_readings_view() -> None:
    body = json.dumps({"results": [{"series": [{"name": "cursor", "columns": ["time"], "values": [[1]]}]}]}).encode()
    with FakeInflux() as fake, closing(InfluxReadingsView(settings(fake), TOKEN)) as view:
        fake.forced.append(Forced(200, body))
        with pytest.raises(AnswerUnreadable, match=r"not InfluxDB 2's .*check \[influxdb\]\.url: InfluxDB 3 "):
            view.cursor("sola-e1", 1)


def test_a_step_ends_with_the_leaf_that_reaches_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "STEP_ROWS", 10)
    with (
        closing(SqliteEvidenceLog(tmp_path / "evidence.db")) as evidence,
        closing(SqliteReadingsView(":memory:")) as view,
    ):
        plant = Plant(evidence)
        cfg = plant.configure(FIRST, configuration(EDGE))
        for k in range(25):
            plant.read(FIRST, cfg, SLOT + k * STEP_MS, {"main": k})
        feeder = Feeder(evidence, view)
        rows = [feeder.catch_up(max_steps=1).rows for _ in range(3)]
        assert rows == [10, 10, 5]
        assert feeder.catch_up().done
        assert view.counts() == (25, 0)
