"""Recorded plants through the whole chain: the sums of the files come out at the API and from the pack.

Modbus, MQTT, ingest, calc, `hakari api run`. `make test` runs one month of each file, HAKARI_TEST_WHOLE_FILES=1
the whole files. The register addresses and units below were read in the meters' manuals, not in the profiles,
so that a wrong profile, decoder or unit does not confirm itself.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hakari.log import keyfile
from hakari.log.checkpoint import open_checkpoint
from simulate.layout import call
from tests.system.chain import BOILER_METERS, PLANTS, Api, Chain, mosquitto

LIMIT_S = 3000

# kWh by the label of a period or the name of a quantity; the sums are those of ../shared/data/README.md.
Recorded = Mapping[str, Decimal]
SOLAR_MONTH: Recorded = {"2016-07": Decimal("858.896945")}
SOLAR_WHOLE: Recorded = {**SOLAR_MONTH, "2016-08": Decimal("863.430890"), "2016-09": Decimal("869.981897")}
BOILER_MONTH: Recorded = {"2018-02": Decimal("2707.590")}
BOILER_WHOLE: Recorded = {**BOILER_MONTH, "2019-01": Decimal("2792.148"), "2019": Decimal("17517.189")}
BOILER_FIRST_TO_LAST = Decimal("51627.243")
AUXILIARY_SHARE = Decimal("0.02")
MONTHS_OF_2019 = [f"2019-{month:02}" for month in range(1, 13)]


class Register(NamedTuple):
    """A cumulative register on the wire: where it is, its words in the order of their weight, one count in kWh."""

    unit: int
    address: int
    order: tuple[int, ...]
    count_kwh: Decimal

    def counts(self, leaf: Any, t_ms: int) -> int:
        """The register's counts in the blocks of a leaf, read at one slot."""
        found = set()
        for block in (b for sample in leaf["samples"] if sample["slot_ms"] == t_ms for b in sample["blocks"]):
            request, answer = bytes.fromhex(block["request"]), bytes.fromhex(block["answer"])
            start, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
            if request[:2] == bytes([self.unit, 3]) and start <= self.address < start + count:
                assert answer[:2] == bytes([3, 2 * count])
                at = 2 + 2 * (self.address - start)
                words = [answer[at + 2 * k : at + 2 * k + 2] for k in self.order]
                found.add(int.from_bytes(b"".join(words), "big"))
        assert len(found) == 1, f"register {self.address} of unit {self.unit} is in the leaf with {found}"
        return found.pop()


REGISTERS = {
    "solar-e1/export/energy_export": Register(2, 3207, (0, 1, 2, 3), Decimal("0.001")),
    "boiler-e1/heat/heat_energy": Register(1, 7, (1, 0), Decimal(1)),
    "boiler-e1/aux/energy_import": Register(2, 0x5000, (0, 1, 2, 3), Decimal("0.01")),
}
KWH_OF = {"MWh": Decimal(1000), "GJ": Decimal(1000) / Decimal("3.6")}


@pytest.mark.system
@pytest.mark.timeout(LIMIT_S)
def test_the_sums_of_the_solar_record_come_out(tmp_path: Path, shared_data: Path, whole_files: bool) -> None:
    record = shared_data / "solar.csv"
    assert (PLANTS / "solar.csv").read_bytes() == record.read_bytes(), "the record that ships is not the recorded one"
    text = (PLANTS / "solar.toml").read_text().replace('"solar.csv"', f'"{record}"')
    plant = ("solar", text.replace('"solar.map.toml"', f'"{PLANTS / "solar.map.toml"}"'))
    project = (PLANTS / "solar.project.toml").read_text()
    end = "2016-10-13T03:45:00-07:00" if whole_files else "2016-08-01T00:00:00-07:00"
    with Chain(tmp_path, [plant], "2016-07-01T00:00:00-07:00", end, projects={"solar": project}) as chain:
        api = _run(chain)
        for label, kwh in (SOLAR_WHOLE if whole_files else SOLAR_MONTH).items():
            period = _period(chain, api, f"demo-solar-{label}")
            _assert_recorded(period, {"EG": kwh}, {"EG": Decimal("0.001")})


@pytest.mark.system
@pytest.mark.timeout(LIMIT_S)
def test_the_sums_of_the_boiler_record_come_out(tmp_path: Path, shared_data: Path, whole_files: bool) -> None:
    plant = ("boiler", _boiler(shared_data / "boiler.csv"))
    project = (PLANTS / "boiler.project.toml").read_text()
    project = project.replace('"Etc/GMT+7"', '"Etc/UTC"').replace("interval_s = 900", "interval_s = 3600")
    start, end = ("2018-01-02T23", "2020-12-31T22") if whole_files else ("2018-02-01T00", "2018-03-01T00")
    with Chain(
        tmp_path, [plant], f"{start}:00:00Z", f"{end}:00:00Z", broker="mosquitto" if mosquitto() else "amqtt",
        step_s=3600, batch_samples=24, projects={"boiler": project},
    ) as chain:  # fmt: skip
        api = _run(chain)
        for label, kwh in (BOILER_WHOLE if whole_files else BOILER_MONTH).items():
            period = _period(chain, api, f"demo-boiler-{label}")
            recorded = {"PH": kwh, "EC": kwh * AUXILIARY_SHARE}
            _assert_recorded(period, recorded, {"PH": Decimal(1), "EC": Decimal("0.01")})
        if whole_files:
            _first_to_last(api)


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
    chain.compute()
    config = ("--config", chain.layout.calc_config)
    computed, viewed = call("period", "list", *config), _rows(chain.folder / "view.db")
    for name in ("view.db", "view.db-wal", "view.db-shm"):
        (chain.folder / name).unlink(missing_ok=True)
    rebuilt = call("view", "rebuild", "--config", chain.layout.ingest_config)
    assert rebuilt["rows"] > 0
    assert rebuilt["refusals"] == 0
    assert _rows(chain.folder / "view.db") == viewed
    call("calc", "run", "--once", *config)
    assert call("period", "list", *config) == computed
    return chain.serve()


def _rows(view: Path) -> str:
    """SHA-256 of every reading and cursor of the view, by the names that its numbers stand for."""
    database = sqlite3.connect(f"file:{view}?mode=ro", uri=True)
    digest = hashlib.sha256()
    rows = database.execute(
        "SELECT p.name, r.t_ms, r.epoch, r.leaf, b.name, r.mono_ms, t.name, r.raw, r.exponent, r.quality, r.reason"
        " FROM reading r JOIN point p ON p.id = r.point JOIN boot b ON b.id = r.boot JOIN type t ON t.id = r.type"
        " ORDER BY 1, 2, 3, 4, 5, 6"
    )
    for row in rows:
        digest.update(repr(row).encode())
    digest.update(repr(database.execute("SELECT edge, epoch, next FROM cursor ORDER BY 1, 2").fetchall()).encode())
    database.close()
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
