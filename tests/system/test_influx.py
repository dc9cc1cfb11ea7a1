"""The chain into a real InfluxDB: locked from there, aware of whoever alters it, and whole again after its loss."""

from __future__ import annotations

import subprocess
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hakari.store.evidence import EvidenceLog
from hakari.store.view import ReadingsView
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row
from ingest.view.feed import Feeder
from simulate.layout import argv, call
from tests.system.chain import Chain, mosquitto, solar
from tests.system.forge import eventually
from tests.system.influx import InfluxServer

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

METHODOLOGY = Path(__file__).parents[1] / "fixtures" / "methodology"
START, END = "2016-07-30T00:00:00-07:00", "2016-08-02T06:00:00-07:00"
PERIOD = "locked-solar-2016-07"
EXPORT, IMPORT = "solar-e1/export/energy_export", "solar-e1/export/energy_import"
FOREVER = (-(2**62), 2**62)
AGAIN_LIMIT_S = 150.0

POINT = """
[[monitored]]
parameter = "{parameter}"
option = "C"

[[monitored.points]]
point = "{point}"
serial = "IEM-0001"
accuracy_class = "0.5S"
capacity_kw = "6.5"
commissioned = 2016-07-30
calibration = {{ certificate = "C-1", lab = "Test Lab", date = 2016-06-01, valid_to = 2026-06-01 }}
"""
PROJECT = f"""[project]
id = "locked-solar"
name = "A plant whose month can be locked"
country = "TEST"
zone = "Etc/GMT+7"
namespace = "demo.hakari.example"
methodology = "FIXTURE_PUBLISHED"
version = "1.0"

[plan]
boundary_limit_h = 1
interval_s = 900

[[parameter]]
name = "EF"
value = "0.5"
unit = "tCO2/MWh"
standing = "published"
source = "published.md, section 3"
approver = "Committee"
document_sha256 = "{"ab" * 32}"
{POINT.format(parameter="EXP", point=EXPORT)}
{POINT.format(parameter="IMP", point=IMPORT)}
"""


@pytest.fixture(autouse=True)
def lockable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A methodology that may be locked, as a package of somebody else on the path of every process."""
    monkeypatch.setenv("PYTHONPATH", str(METHODOLOGY))


def chain_into(influxd: InfluxServer, folder: Path) -> Chain:
    broker = "mosquitto" if mosquitto() else "amqtt"
    return Chain(folder, [solar()], START, END, broker=broker, projects={"solar": PROJECT}, influxd=influxd)


def refused(*words: str | Path, code: int) -> str:
    """What a command said that ended with `code`."""
    done = subprocess.run(argv(*words), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


def lock(chain: Chain) -> tuple[str, ...]:
    return ("period", "lock", PERIOD, "--config", str(chain.layout.calc_config))


def compared(chain: Chain) -> Any:
    return call("view", "compare", "--config", chain.layout.ingest_config, allow=(0, 5))


def everything(view: ReadingsView) -> list[Row]:
    return [row for point in view.points() for row in view.read(point, *FOREVER)]


def embedded(chain: Chain) -> tuple[list[Row], list[tuple[int, int]]]:
    """Rows and cursors of an embedded view of the same evidence."""
    with closing(chain.evidence()) as log, closing(SqliteReadingsView(":memory:")) as view:
        assert Feeder(log, view).catch_up().done
        return everything(view), cursors(log, view)


def cursors(log: EvidenceLog, view: ReadingsView) -> list[tuple[int, int]]:
    return [(log.head(origin).size, view.cursor(origin.edge_id, origin.epoch)) for origin in log.origins()]


def assert_as_embedded(chain: Chain) -> None:
    """The view in InfluxDB holds, row for row and bit for bit, what the embedded one would."""
    with closing(chain.view()) as view, closing(chain.evidence()) as log:
        assert (everything(view), cursors(log, view)) == embedded(chain)


def noon(influxd: InfluxServer, bucket: str, point: str) -> dict[str, Any]:
    """The reading of a point at noon of 31 July 2016, local time, with its tags."""
    at = "2016-07-31T19:00:00Z"
    edge, meter, name = point.split("/")
    query = (
        f"SELECT \"{name}.raw\" AS raw FROM reading WHERE edge = '{edge}' AND meter = '{meter}'"
        f" AND time >= '{at}' AND time < '{at}' + 1s GROUP BY *"
    )
    series = influxd.influxql(bucket, query)
    assert len(series) == 1
    assert len(series[0]["values"]) == 1
    return {"tags": series[0]["tags"], **dict(zip(series[0]["columns"], series[0]["values"][0], strict=True))}


def test_the_chain_locks_from_influxdb_and_refuses_where_somebody_has_altered_it(
    influxd: InfluxServer, tmp_path: Path
) -> None:
    with chain_into(influxd, tmp_path) as chain:
        chain.start_all()
        chain.finish()
        chain.assert_nothing_lost_or_doubled()
        chain.compute()
        assert_as_embedded(chain)
        assert compared(chain)["day_count"] == 0
        before = call("period", "list", "--config", chain.layout.calc_config)

        row = noon(influxd, chain.bucket, EXPORT)
        tags = ",".join(f"{name}={value}" for name, value in sorted(row["tags"].items()) if value)
        influxd.write(chain.bucket, f"reading,{tags} {EXPORT.split('/')[2]}.raw={row['raw'] + 1}i {row['time']}")
        said = refused(*lock(chain), code=6)
        assert f"view and leaves differ at {EXPORT} on 2016-07-31 (1 days in all)" in said
        found = compared(chain)
        assert found["days"] == [
            {"point": EXPORT, "day": "2016-07-31", "missing": 0, "extra": 0, "altered": 1, "fields": ["quality", "raw"]}
        ]
        _rebuild(chain)

        assert noon(influxd, chain.bucket, IMPORT)
        # InfluxDB deletes lines and no fields of them: all points of the meter lose that sample.
        meter = IMPORT.split("/")[1]
        influxd.delete(chain.bucket, f'meter="{meter}"', "2016-07-31T19:00:00Z", "2016-07-31T19:00:01Z")
        assert " on 2016-07-31 (2 days in all)" in refused(*lock(chain), code=6)
        found = compared(chain)
        lost = {day["point"]: (day["missing"], day["extra"], day["altered"]) for day in found["days"]}
        assert {EXPORT, IMPORT} <= lost.keys()
        assert set(lost.values()) == {(1, 0, 0)}
        assert all(point.split("/")[1] == meter for point in lost)
        _rebuild(chain)

        call("calc", "run", "--once", "--config", chain.layout.calc_config)
        assert call("period", "list", "--config", chain.layout.calc_config) == before
        locked = call(*lock(chain))
        assert locked["period_id"] == PERIOD
        verdict = chain.verified(PERIOD)
        assert verdict["problems"] == []
        assert Decimal(verdict["reductions_tco2"]) > 0
        influxd.delete_bucket(chain.bucket)


def _rebuild(chain: Chain) -> None:
    rebuilt = call("view", "rebuild", "--config", chain.layout.ingest_config)
    assert rebuilt["refusals"] == 0
    assert compared(chain)["day_count"] == 0
    assert_as_embedded(chain)


def test_fault_29_ingest_goes_on_while_its_bucket_is_gone_and_the_view_is_whole_again(
    influxd: InfluxServer, tmp_path: Path
) -> None:
    with chain_into(influxd, tmp_path) as chain:
        chain.start_all()
        eventually("rows in InfluxDB", lambda: bool(influxd.influxql(chain.bucket, "SELECT last(next) FROM cursor")))
        influxd.delete_bucket(chain.bucket)
        chain.processes.wait("plants", AGAIN_LIMIT_S)
        assert chain.processes.stop("solar-e1") == 0
        eventually("everything is stored", lambda: chain.stored("solar-e1") == chain.committed("solar-e1"))
        assert chain.alive("ingest")
        alarm = "nothing was dropped: check [influxdb].org and bucket"
        # A server that is about to lose a bucket may first answer 500; the next try is told what is wrong.
        eventually("the alarm", lambda: alarm in (tmp_path / "logs" / "ingest.log").read_text(), AGAIN_LIMIT_S)
        log = (tmp_path / "logs" / "ingest.log").read_text()
        assert "the readings view must wait" in log
        assert "run: hakari view init" in log
        assert "Traceback" not in log
        made = call("view", "init", "--config", chain.layout.ingest_config)
        assert made == {"bucket": chain.bucket, "made": True}
        assert call("view", "init", "--config", chain.layout.ingest_config) == {"bucket": chain.bucket, "made": False}
        eventually("the view is level", lambda: _level(chain), AGAIN_LIMIT_S)
        assert chain.processes.stop("ingest") == 0
        assert_as_embedded(chain)
        chain.compute()
        ours = _totals(chain)
        _without_influxdb(chain)
        call("view", "rebuild", "--config", chain.layout.ingest_config)
        assert _totals(chain) == ours
        assert ours["totals"]
        influxd.delete_bucket(chain.bucket)


def _level(chain: Chain) -> bool:
    with closing(chain.view()) as view, closing(chain.evidence()) as log:
        return all(size == cursor for size, cursor in cursors(log, view))


def _totals(chain: Chain) -> Any:
    """The month as calc shows it, and the register's run as the view has it."""
    words = ("--from", "2016-07-30T00:00:00-07:00", "--to", "2016-08-01T00:00:00-07:00")
    return {
        "totals": call("period", "show", PERIOD, "--config", chain.layout.calc_config),
        "view": call("view", "total", EXPORT, *words, "--config", chain.layout.ingest_config),
    }


def _without_influxdb(chain: Chain) -> None:
    """The same rooms with the embedded view."""
    for config in (chain.layout.ingest_config, chain.layout.calc_config):
        text = config.read_text().replace(chain.layout.influxdb, "")
        room = config.stem
        config.write_text(text.replace(f"[{room}]\n", f'[{room}]\nview = "view.db"\n'))
