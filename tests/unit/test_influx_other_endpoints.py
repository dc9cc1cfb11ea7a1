"""The same writer at InfluxDB 3 and at others that take line protocol, as their documentation has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest

from hakari.influxdb import InfluxSettings
from hakari.store.influx import TABLES, Influx, RowsStay
from hakari.store.influx_answers import JsonSeries, database_names, inlined, regrouped
from hakari.store.lines import Serializer
from hakari.store.view import Refusal, ViewUnavailable
from hakari.store.view_influx import InfluxReadingsView
from hakari.wire.rows import Row
from tests.unit.influx_fake import REFUSED_AS_A_WHOLE, TOKEN, FakeInflux, FakeInflux3

EDGE, EPOCH = "sola-e1", 1_467_356_400
LARGEST = 2**64 - 1
NAMES = ("energy", "power")


def settings(url: str, endpoint: str = "influxdb3", *, compress: bool = True) -> InfluxSettings:
    given = {"url": url, "token_file": "unread", "timeout_s": 5.0, "endpoint": endpoint, "compress": compress}
    return msgspec.convert(given, InfluxSettings)


def rows(leaves: int = 5, boot: str = "boot") -> list[Row]:
    """Raw words beyond what a double holds: what passes through one does not come back."""
    return [
        Row(f"{EDGE}/meter/{name}", 1000 * leaf, "u64", LARGEST - 10 * leaf - k, 0, 0, "", EPOCH, leaf, boot, leaf)
        for leaf in range(leaves)
        for k, name in enumerate(NAMES)
    ]


@pytest.fixture
def server() -> Iterator[FakeInflux3]:
    with FakeInflux3() as fake:
        yield fake


@pytest.fixture
def made(server: FakeInflux3) -> FakeInflux3:
    with closing(Influx(settings(server.url), TOKEN)) as influx:
        assert influx.made_bucket()
        assert not influx.made_bucket()
    return server


def test_a_write_to_influxdb_3_names_its_precision_and_takes_all_lines_or_none(made: FakeInflux3) -> None:
    with closing(Influx(settings(made.url), TOKEN)) as influx:
        assert influx.taken(["m n=1i 1"])
    assert made.requests[-1][0] == "/api/v3/write_lp"
    assert made.queries[-1] == {"db": "hakari", "precision": "nanosecond", "accept_partial": "false"}


def test_a_write_to_influxdb_2_is_what_it_always_was() -> None:
    with FakeInflux() as fake, closing(Influx(settings(fake.url, "influxdb2"), TOKEN)) as influx:
        assert influx.taken(["m n=1i 1"])
        assert fake.requests[-1][0] == "/api/v2/write"
        assert fake.queries == [{"org": "hakari", "bucket": "hakari", "precision": "ns"}]


def test_of_a_request_that_influxdb_3_refuses_whole_the_offender_is_found_and_the_others_stand(
    made: FakeInflux3,
) -> None:
    lines = [f"m n={k}i {k}" for k in range(100)]
    made.refuse = "n=42i"
    with closing(Influx(settings(made.url), TOKEN)) as influx:
        (offender,) = influx.write(lines)
    assert (offender.at, offender.message) == (42, f"{REFUSED_AS_A_WHOLE}: invalid column type")
    assert sorted(made.lines) == sorted(set(lines) - {lines[42]})


@pytest.mark.parametrize("earlier", [False, True])
def test_a_view_in_influxdb_3_writes_counts_and_reads_back_bit_for_bit(made: FakeInflux3, earlier: bool) -> None:
    made.tags_as_columns = made.nothing_for_no_rows = earlier
    given = rows()
    with closing(InfluxReadingsView(settings(made.url), TOKEN)) as view:
        assert view.cursor(EDGE, EPOCH) == 0
        view.write(EDGE, EPOCH, 5, given, [Refusal(EDGE, EPOCH, 3, "too far ahead")])
        view.write(EDGE, EPOCH, 5, given, [])
        assert view.cursor(EDGE, EPOCH) == 5
        assert view.counts() == (10, 1)
        assert view.points() == [f"{EDGE}/meter/{name}" for name in NAMES]
        assert view.refused() == [Refusal(EDGE, EPOCH, 3, "too far ahead")]
        for name in NAMES:
            point = f"{EDGE}/meter/{name}"
            assert list(view.read(point, 0, 10_000)) == [row for row in given if row.point == point]
            assert view.last(point) == [row for row in given if row.point == point][-1]


def test_a_row_that_influxdb_3_refuses_is_listed_and_its_neighbours_are_counted(made: FakeInflux3) -> None:
    given = rows()
    made.refuse = rf"power\.raw={given[5].raw - 2**64}i"
    with closing(InfluxReadingsView(settings(made.url), TOKEN)) as view:
        view.write(EDGE, EPOCH, 5, given, [])
        assert view.counts() == (9, 1)
        assert "invalid column type" in view.refused()[0].reason
        assert list(view.read(f"{EDGE}/meter/energy", 0, 10_000)) == given[::2]


def test_two_samples_of_one_slot_need_the_tag_that_only_a_table_made_before_the_first_line_has(
    server: FakeInflux3,
) -> None:
    twice = [row for pair in zip(rows(1), rows(1, "other"), strict=True) for row in pair]
    server.databases.append("hakari")
    made = Serializer().readings(twice)
    with closing(Influx(settings(server.url), TOKEN)) as influx:
        assert "new tag columns" in influx.write(made.lines)[0].message
        server.tables.clear()
        assert not influx.made_bucket()
        assert server.tables == {table: list(tags) for table, tags in TABLES.items()}
        assert influx.write(made.lines) == []


def test_deleting_rows_in_influxdb_3_is_refused_with_what_to_do_instead(made: FakeInflux3) -> None:
    with closing(InfluxReadingsView(settings(made.url), TOKEN)) as view:
        view.write(EDGE, EPOCH, 5, rows(), [])
        asked = len(made.requests)
        with pytest.raises(RowsStay, match=r"nothing was deleted: .* new database .*bucket, run hakari view init"):
            view.clear()
        assert len(made.requests) == asked
        assert view.cursor(EDGE, EPOCH) == 5


def test_without_its_database_nothing_is_written_since_influxdb_3_would_make_it_by_itself(server: FakeInflux3) -> None:
    with closing(InfluxReadingsView(settings(server.url), TOKEN)) as view:
        with pytest.raises(ViewUnavailable, match=r"answers 404 .*hakari view init"):
            view.write(EDGE, EPOCH, 5, rows(), [])
        with pytest.raises(ViewUnavailable, match="database not found"):
            view._influx.keeping_bucket()
    assert "/api/v3/write_lp" not in {path for path, _ in server.requests}


def test_a_prefix_in_the_address_goes_before_the_path_as_greptimedb_documents_it() -> None:
    with FakeInflux() as fake:
        fake.prefix = "/v1/influxdb"
        with closing(Influx(settings(f"{fake.url}/v1/influxdb/", "influxdb2"), TOKEN)) as influx:
            assert influx.write(["m n=1i 1"]) == []
        assert fake.requests == [("/v1/influxdb/api/v2/write", fake.requests[0][1])]
        assert fake.queries[0]["bucket"] == "hakari"
        assert fake.queries[0]["precision"] == "ns"


def test_an_endpoint_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Invalid enum value 'questdb' - at `\$\.endpoint`"):
        settings("http://127.0.0.1:1", "questdb")


def test_names_in_a_statement_become_literals_that_cannot_end_early() -> None:
    values = {"edge": "a'; DROP $n \\", "n": 7}
    assert inlined("WHERE edge = $edge AND leaf >= $n", values) == ("WHERE edge = 'a\\'; DROP $n \\\\' AND leaf >= 7")


def test_tags_that_come_as_columns_tell_series_apart_and_others_stay_as_they_are() -> None:
    statement = "SELECT last(next) FROM cursor WHERE edge = 'e' GROUP BY generation"
    flat = JsonSeries([[1, "a", 10], [2, None, 20]], "cursor", ["time", "generation", "last"])
    assert [(one.tags, one.columns, one.values) for one in regrouped(statement, flat)] == [
        ({"generation": "a"}, ["time", "last"], [[1, 10]]),
        ({"generation": ""}, ["time", "last"], [[2, 20]]),
    ]
    told = JsonSeries([[1, 10]], "cursor", ["time", "last"], {"generation": None})
    assert [(one.tags, one.values) for one in regrouped(statement, told)] == [({"generation": ""}, [[1, 10]])]


@pytest.mark.parametrize("found", [{"databases": ["a", "b"]}, [{"iox::database": "a"}, {"iox::database": "b"}]])
def test_databases_are_listed_in_either_documented_form(found: object) -> None:
    assert database_names(found) == {"a", "b"}
    assert database_names("nonsense") == set()
