"""Recorded plants through the whole chain: the sums of the files come out at the API and from the pack.

Modbus, MQTT, ingest, calc, `hakari api run`, with the embedded broker and view and, where they are, with Mosquitto and
InfluxDB. `make test` runs one month of each file, HAKARI_TEST_WHOLE_FILES=1 the whole files. The register addresses and
units below were read in the meters' manuals, not in the profiles,
so that a wrong profile, decoder or unit does not confirm itself.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import struct
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from hakari.log import keyfile
from hakari.log.checkpoint import open_checkpoint
from simulate.layout import call
from tests.system.chain import BOILER_METERS, PLANTS, Api, Chain

LIMIT_S = 3000
OF_TIME = {"edge-silent", "meter-silent", "register-silent", "outbox-old", "view-behind", "epoch-unapproved", "disk"}
END_OF_TIME_MS = 2**53

# kWh by the label of a period or the name of a quantity; the sums are those of ../shared/data/README.md.
Recorded = Mapping[str, Decimal]
SOLAR_MONTH: Recorded = {"2016-07": Decimal("858.896945")}
SOLAR_WHOLE: Recorded = {**SOLAR_MONTH, "2016-08": Decimal("863.430890"), "2016-09": Decimal("869.981897")}
BOILER_MONTH: Recorded = {"2018-02": Decimal("2707.590")}
BOILER_WHOLE: Recorded = {**BOILER_MONTH, "2019-01": Decimal("2792.148"), "2019": Decimal("17517.189")}
BOILER_FIRST_TO_LAST = Decimal("51627.243")
CHILLER_MONTH: Recorded = {"2025-04": Decimal("131420.4")}
CHILLER_WHOLE: Recorded = {**CHILLER_MONTH, "2025-07": Decimal("121079.8"), "2025-09": Decimal("108081.7")}
AUXILIARY_SHARE = Decimal("0.02")
MONTHS_OF_2019 = [f"2019-{month:02}" for month in range(1, 13)]


class Register(NamedTuple):
    """A cumulative register on the wire: where it is, its words in the order of their weight, one count in kWh."""

    unit: int
    address: int
    order: tuple[int, ...]
    count_kwh: Decimal
    function: int = 3

    def counts(self, leaf: Any, t_ms: int) -> int:
        """The register's counts in the blocks of a leaf, read at one slot."""
        found = set()
        for block in (b for sample in leaf["samples"] if sample["slot_ms"] == t_ms for b in sample["blocks"]):
            request, answer = bytes.fromhex(block["request"]), bytes.fromhex(block["answer"])
            start, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
            if request[:2] == bytes([self.unit, self.function]) and start <= self.address < start + count:
                assert answer[:2] == bytes([self.function, 2 * count])
                at = 2 + 2 * (self.address - start)
                words = [answer[at + 2 * k : at + 2 * k + 2] for k in self.order]
                found.add(int.from_bytes(b"".join(words), "big"))
        assert len(found) == 1, f"register {self.address} of unit {self.unit} is in the leaf with {found}"
        return found.pop()


REGISTERS = {
    "solar-e1/export/energy_export": Register(2, 3207, (0, 1, 2, 3), Decimal("0.001")),
    "boiler-e1/heat/heat_energy": Register(1, 7, (1, 0), Decimal(1)),
    "boiler-e1/aux/energy_import": Register(2, 0x5000, (0, 1, 2, 3), Decimal("0.01")),
    "chiller-e1/power/energy_import": Register(1, 0x34, (1, 0), Decimal("0.1"), function=4),
    "transformer-e1/primary/energy_import": Register(1, 19068, (0, 1), Decimal("0.001")),
    "transformer-e1/primary/energy_export": Register(1, 19076, (0, 1), Decimal("0.001")),
    "transformer-e1/secondary/energy_import": Register(2, 0x5000, (0, 1, 2, 3), Decimal("0.01")),
    "transformer-e1/secondary/energy_export": Register(2, 0x5004, (0, 1, 2, 3), Decimal("0.01")),
}
SINGLE_FLOATS = ("transformer-e1/primary/energy_import", "transformer-e1/primary/energy_export")
KWH_OF = {"MWh": Decimal(1000), "GJ": Decimal(1000) / Decimal("3.6")}


@pytest.fixture(params=["embedded", "servers"])
def parts(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What else a chain is made with: the embedded broker and view, or Mosquitto and InfluxDB where both are there."""
    if request.param == "embedded":
        return {}
    request.getfixturevalue("mosquitto")
    return {"broker": "mosquitto", "influxd": request.getfixturevalue("influxd")}


@pytest.mark.system
@pytest.mark.timeout(LIMIT_S)
def test_the_sums_of_the_solar_record_come_out(
    tmp_path: Path, shared_data: Path, whole_files: bool, parts: Mapping[str, Any]
) -> None:
    record = shared_data / "solar.csv"
    assert (PLANTS / "solar.csv").read_bytes() == record.read_bytes(), "the record that ships is not the recorded one"
    text = (PLANTS / "solar.toml").read_text().replace('"solar.csv"', f'"{record}"')
    plant = ("solar", text.replace('"solar.map.toml"', f'"{PLANTS / "solar.map.toml"}"'))
    project = (PLANTS / "solar.project.toml").read_text()
    end = "2016-10-13T03:45:00-07:00" if whole_files else "2016-08-01T00:00:00-07:00"
    with Chain(tmp_path, [plant], "2016-07-01T00:00:00-07:00", end, projects={"solar": project}, **parts) as chain:
        api = _run(chain)
        for label, kwh in (SOLAR_WHOLE if whole_files else SOLAR_MONTH).items():
            period = _period(chain, api, f"demo-solar-{label}")
            _assert_recorded(period, {"EG": kwh}, {"EG": Decimal("0.001")})


@pytest.mark.system
@pytest.mark.timeout(LIMIT_S)
def test_the_sums_of_the_boiler_record_come_out(
    tmp_path: Path, shared_data: Path, whole_files: bool, parts: Mapping[str, Any]
) -> None:
    plant = ("boiler", _boiler(shared_data / "boiler.csv"))
    project = (PLANTS / "boiler.project.toml").read_text()
    project = project.replace('"Etc/GMT+7"', '"Etc/UTC"').replace("interval_s = 900", "interval_s = 3600")
    start, end = ("2018-01-02T23", "2020-12-31T22") if whole_files else ("2018-02-01T00", "2018-03-01T00")
    with Chain(
        tmp_path, [plant], f"{start}:00:00Z", f"{end}:00:00Z",
        step_s=3600, batch_samples=24, projects={"boiler": project}, **parts,
    ) as chain:  # fmt: skip
        api = _run(chain)
        for label, kwh in (BOILER_WHOLE if whole_files else BOILER_MONTH).items():
            period = _period(chain, api, f"demo-boiler-{label}")
            recorded = {"PH": kwh, "EC": kwh * AUXILIARY_SHARE}
            _assert_recorded(period, recorded, {"PH": Decimal(1), "EC": Decimal("0.01")})
        if whole_files:
            _first_to_last(api)


@pytest.mark.system
@pytest.mark.timeout(LIMIT_S)
def test_the_sums_of_the_chiller_record_come_out(
    tmp_path: Path, shared_data: Path, whole_files: bool, parts: Mapping[str, Any]
) -> None:
    record = shared_data / "chiller.csv"
    start, end = ("2025-03-09T23", "2025-10-27T16") if whole_files else ("2025-04-01T00", "2025-05-01T00")
    project = _project("chiller").replace('capacity_kw = "330"', 'capacity_kw = "500"')
    with Chain(
        tmp_path, [("chiller", _plant("chiller", record))], f"{start}:00:00+08:00", f"{end}:00:00+08:00",
        step_s=3600, batch_samples=24, projects={"chiller": project}, **parts,
    ) as chain:  # fmt: skip
        api = _run(chain)
        for label, kwh in (CHILLER_WHOLE if whole_files else CHILLER_MONTH).items():
            period = _period(chain, api, f"demo-chiller-{label}")
            _assert_recorded(period, {"EC": kwh}, {"EC": Decimal("0.1")})
        _assert_water(chain, record)


def _assert_water(chain: Chain, record: Path) -> None:
    """Each of the four temperatures that the controller told is the recorded one of that hour, as a single float."""
    columns = {
        "chilled_water_leaving": "chw_supply_c",
        "chilled_water_entering": "chw_return_c",
        "cooling_water_entering": "cdw_supply_c",
        "cooling_water_leaving": "cdw_return_c",
    }
    rows = {_ms(row["time"]): row for row in _rows_of(record)}
    for point, column in columns.items():
        told = chain.registers(f"chiller-e1/controller/{point}")
        assert len(told) >= 30 * 24
        assert {t_ms: Decimal(text) for t_ms, text in told.items()} == {
            t_ms: Decimal(struct.unpack(">f", struct.pack(">f", float(rows[t_ms][column])))[0]) for t_ms in told
        }


@pytest.mark.system
@pytest.mark.timeout(LIMIT_S)
def test_the_sums_of_the_transformer_record_come_out(
    tmp_path: Path, shared_data: Path, whole_files: bool, parts: Mapping[str, Any]
) -> None:
    """Its units are not stated; as in its map, a load is taken as MW. The voltage is constant: every hour counts."""
    record = shared_data / "transformer.csv"
    end = "2018-06-26T19" if whole_files else "2016-08-01T00"
    plant = _plant("transformer", record)
    for side in ("primary", "secondary"):
        plant = plant.replace(f'"{side}_wh"', f'"{side}_wh", export_wh = "{side}_returned_wh"')
    with Chain(
        tmp_path, [("transformer", plant)], "2016-07-01T00:00:00+08:00", f"{end}:00:00+08:00",
        step_s=3600, batch_samples=24, projects={"transformer": _project("transformer")}, **parts,
    ) as chain:  # fmt: skip
        api = _run(chain)
        months = _months(_rows_of(record))
        for label in list(months)[:-1] if whole_files else ["2016-07"]:
            first, after = months[label][0], months[label][-1] + timedelta(hours=1)
            hours = api.get(f"/v1/periods/demo-transformer-{label}")["vintages"][0]["quantities"]
            assert Decimal(hours["H[t-1000]"]) == len(months[label])
            for side, column in (("primary", "high"), ("secondary", "low")):
                loads = [Decimal(row[f"{column}_voltage_useful_load"]) for row in _rows_of(record)
                         if row["time"].startswith(label)]  # fmt: skip
                _assert_counted(api, f"{side}/energy_import", first, after, sum(load for load in loads if load > 0))
                _assert_counted(api, f"{side}/energy_export", first, after, -sum(load for load in loads if load < 0))
        _verified_hours(chain, api, "2016-07")


def _assert_counted(api: Api, local: str, first: datetime, after: datetime, mwh: Decimal | int) -> None:
    """Register end − start, from the words of the signed leaves, is the recorded one within a count at each end."""
    point = f"transformer-e1/{local}"
    ends = [_wire_kwh(api, point, moment) for moment in (first, after)]
    counts = [Decimal(math.ulp(float(end * 1000)) * 2**29 if point in SINGLE_FLOATS else 0) / 1000 for end in ends]
    slack_kwh = sum(counts, REGISTERS[point].count_kwh)
    assert abs(ends[1] - ends[0] - mwh * 1000) <= slack_kwh, f"{point} from {first}: {ends}, recorded were {mwh} MWh"


def _wire_kwh(api: Api, point: str, moment: datetime) -> Decimal:
    """What the register showed at that moment: its words in the leaf, which the reading's link names."""
    t_ms = round(moment.timestamp() * 1000)
    until = (moment + timedelta(milliseconds=1)).isoformat()
    query = urlencode({"point": point, "start": moment.isoformat(), "end": until})
    (reading,) = api.get(f"/v1/readings?{query}")["items"]
    leaf = json.loads(api.body(api.get(reading["links"]["leaf"])["links"]["body"]))
    counts = REGISTERS[point].counts(leaf, t_ms)
    assert (reading["quality"], int(reading["raw_hex"], 16)) == ("good", counts)
    if point in SINGLE_FLOATS:
        return Decimal(struct.unpack(">f", counts.to_bytes(4, "big"))[0]) / 1000
    return counts * REGISTERS[point].count_kwh


def _verified_hours(chain: Chain, api: Api, label: str) -> None:
    """The period's pack verifies to the API's digits."""
    period = api.get(f"/v1/periods/demo-transformer-{label}")
    verdict = chain.verified(f"demo-transformer-{label}")
    assert verdict["ok"]
    assert verdict["reductions_tco2"] == period["totals"]["reductions_tco2"]


def _plant(name: str, record: Path) -> str:
    """The shipped plant file with the record instead of the model as its source."""
    text = (PLANTS / f"{name}.toml").read_text()
    head, _, rest = text.partition("[source]")
    meters = rest[rest.index("[[meters]]") :]
    return f'{head}[source]\nkind = "record"\nfile = "{record}"\nmapping = "{PLANTS / f"{name}.map.toml"}"\n\n{meters}'


def _project(name: str) -> str:
    """The shipped project in the record's zone and interval."""
    text = (PLANTS / f"{name}.project.toml").read_text()
    return text.replace('"Etc/GMT+7"', '"Etc/GMT-8"').replace("interval_s = 900", "interval_s = 3600")


def _rows_of(record: Path) -> list[dict[str, str]]:
    with record.open(newline="") as file:
        return list(csv.DictReader(file))


def _months(rows: Sequence[Mapping[str, str]]) -> dict[str, list[datetime]]:
    """The times of the rows by local month."""
    months: dict[str, list[datetime]] = {}
    for row in rows:
        months.setdefault(row["time"][:7], []).append(datetime.fromisoformat(row["time"]))
    return months


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _boiler(record: Path) -> str:
    return f"""name = "boiler"
port = 15022
source = {{ kind = "record", file = "{record}", mapping = "{PLANTS / "heat-meter.map.toml"}" }}

[[meters]]
model = "{BOILER_METERS[0].profile}"
unit = {BOILER_METERS[0].unit}
serial = "{BOILER_METERS[0].serial}"

[[meters]]
model = "{BOILER_METERS[1].profile}"
unit = {BOILER_METERS[1].unit}
serial = "{BOILER_METERS[1].serial}"
reads = {{ power_w = "aux_power_w", import_wh = "aux_wh" }}
"""


def _run(chain: Chain) -> Api:
    """Drives the record, computes, and deletes and rebuilds the view in between: nothing may change by it."""
    chain.start_all()
    chain.finish()
    chain.assert_nothing_lost_or_doubled()
    _assert_no_false_alarm(chain)
    chain.compute()
    config = ("--config", chain.layout.calc_config)
    computed, viewed = call("period", "list", *config), _rows(chain)
    chain.delete_view()
    rebuilt = call("view", "rebuild", "--config", chain.layout.ingest_config)
    assert rebuilt["rows"] > 0
    assert rebuilt["refusals"] == 0
    assert _rows(chain) == viewed
    call("calc", "run", "--once", *config)
    assert call("period", "list", *config) == computed
    return chain.serve()


def _assert_no_false_alarm(chain: Chain) -> None:
    """A record without a fault alarms nothing, but for ages: plant time runs faster than messages in lockstep."""
    told = call("ingest", "alarms", "--history", "1000", "--config", chain.layout.ingest_config)
    assert {one["kind"] for one in told["history"]} <= OF_TIME


def _rows(chain: Chain) -> str:
    """SHA-256 of every reading of the view, by point and time, and of its cursors."""
    digest = hashlib.sha256()
    with closing(chain.view()) as view, closing(chain.evidence()) as log:
        for point in sorted(view.points()):
            for row in view.read(point, 0, END_OF_TIME_MS):
                digest.update(repr(row).encode())
        cursors = [(str(origin), view.cursor(origin.edge_id, origin.epoch)) for origin in log.origins()]
    digest.update(repr(sorted(cursors)).encode())
    return digest.hexdigest()


def _period(chain: Chain, api: Api, period_id: str) -> Any:
    """The period at the API, each input re-derived from raw words, and its pack verified to the same digits."""
    period = api.get(f"/v1/periods/{period_id}")
    assert Decimal(period["completeness"]) == 1
    assert period["inputs"]
    for given in period["inputs"]:
        _assert_from_raw_words(chain, api, given)
    verdict = chain.verified(period_id)
    assert verdict["problems"] == []
    assert verdict["ok"]
    for name in ("reference_tco2", "project_tco2", "reductions_tco2", "reductions_whole_tco2"):
        assert verdict[name] == period["totals"][name] is not None
    assert verdict["meaning"] == "provisional, credits nothing"
    assert not period["credits"]
    return period


def _assert_from_raw_words(chain: Chain, api: Api, given: Any) -> None:
    """Follows an input's links to its readings and leaves, and computes end − start from the words there."""
    register = REGISTERS[given["point"]]
    counts = [_counts(chain, api, given["point"], given[name]) for name in ("start", "end")]
    assert _almost(Decimal(given["quantity"]) * KWH_OF[given["unit"]], (counts[1] - counts[0]) * register.count_kwh)


def _counts(chain: Chain, api: Api, point: str, boundary: Any) -> int:
    """The boundary register's counts as the words in its signed leaf have them."""
    readings = api.get(boundary["links"]["reading"])["items"]
    assert len(readings) == 1
    for name in ("time", "raw_hex", "value", "type", "exponent", "unit", "epoch", "leaf"):
        if name == "time":
            assert datetime.fromisoformat(readings[0]["time"]) == datetime.fromisoformat(boundary["time"])
        elif name == "value":  # a reading keeps the zeros of its register's resolution
            assert Decimal(readings[0]["value"]) == Decimal(boundary["value"])
        else:
            assert readings[0][name] == boundary[name], name
    assert readings[0]["quality"] == "good"
    assert readings[0]["links"]["leaf"] == boundary["links"]["leaf"]
    shown, body = api.get(boundary["links"]["leaf"]), api.body(boundary["links"]["leaf_body"])
    assert shown["leaf_sha256"] == hashlib.sha256(body).hexdigest()
    assert shown["rfc6962_leaf_hash"] == hashlib.sha256(b"\0" + body).hexdigest()
    leaf = json.loads(body)
    assert (leaf["epoch"], leaf["i"]) == (boundary["epoch"], boundary["leaf"])
    signed = open_checkpoint(shown["checkpoint"].encode(), _edge_key(chain, point))
    assert (str(signed.origin), signed.size) == (shown["origin"], boundary["leaf"] + 1)
    register = REGISTERS[point]
    t_ms = round(datetime.fromisoformat(boundary["time"]).timestamp() * 1000)
    counts = register.counts(leaf, t_ms)
    assert int(boundary["raw_hex"], 16) == counts
    return counts


def _edge_key(chain: Chain, point: str) -> bytes:
    edge_id = point.partition("/")[0]
    return keyfile.public_bytes(keyfile.load(chain.folder / f"{edge_id}.pem"))


def _kwh(period: Any, names: Collection[str]) -> dict[str, Decimal]:
    """Monitored quantities of a period in kWh."""
    given = [one for one in period["inputs"] if one["parameter"] in names]
    assert sorted(one["parameter"] for one in given) == sorted(names)
    return {one["parameter"]: Decimal(one["quantity"]) * KWH_OF[one["unit"]] for one in given}


def _assert_recorded(period: Any, recorded: Recorded, count_kwh: Recorded) -> None:
    """Each quantity is the recorded one within one count of its meter."""
    found = _kwh(period, recorded.keys())
    assert len(period["inputs"]) == len(recorded)
    for name, kwh in recorded.items():
        assert abs(found[name] - kwh) <= count_kwh[name], f"{name} is {found[name]} kWh, recorded were {kwh}"


def _almost(one: Decimal, other: Decimal) -> bool:
    """Equal but for the digits that a division of units drops."""
    return abs(one - other) < Decimal("1e-12")


def _first_to_last(api: Api) -> None:
    """Years add up from the first row to the last; the months of a year add up to it exactly."""
    years = [_heat(api, label) for label in ("2018", "2019", "2020")]
    assert abs(sum(years) - BOILER_FIRST_TO_LAST) <= 1
    assert _almost(sum((_heat(api, label) for label in MONTHS_OF_2019), Decimal(0)), years[1])


def _heat(api: Api, label: str) -> Decimal:
    return _kwh(api.get(f"/v1/periods/demo-boiler-{label}"), {"PH"})["PH"]
