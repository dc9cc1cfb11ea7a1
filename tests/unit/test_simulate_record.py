"""Recorded files become exact registers; what cannot be used is named."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from pathlib import Path

import pytest

from simulate.plant import Plant, load_plant
from simulate.record import Mapping, QuantityMap, Record, RecordInvalid

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "simulate" / "data"
SHARED_BOILER = REPOSITORY.parent / "shared" / "data" / "boiler.csv"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def export_wh(plant: Plant, at: str) -> int:
    """The iEM3155's export register (int64, Wh, at 3207)."""
    words = plant.meters[1].registers(ms(at))[3203][4:]
    return int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words), "big", signed=True)


def heat_kwh(plant: Plant, at: str) -> int:
    """The TVA's energy registers (7 low, 8 high, kWh)."""
    words = plant.meters[0].registers(ms(at))[0]
    return words[8] * 65536 + words[7]


@pytest.mark.parametrize(
    ("start", "end", "expected_wh"),
    [("2016-07-01", "2016-08-01", "858896.945"), ("2016-08-01", "2016-09-01", "863430.890"),
     ("2016-09-01", "2016-10-01", "869981.897")],
)  # fmt: skip
def test_solar_export_register_gives_the_published_month(start: str, end: str, expected_wh: str) -> None:
    plant = load_plant(DATA / "solar.toml", {})
    counted = export_wh(plant, f"{end}T00:00:00-07:00") - export_wh(plant, f"{start}T00:00:00-07:00")
    assert abs(counted - Fraction(expected_wh)) <= 1


def test_inverter_and_export_meter_count_alike() -> None:
    plant = load_plant(DATA / "solar.toml", {})
    words = plant.meters[0].registers(ms("2016-08-01T00:00:00-07:00"))[40000]
    inverter_wh = words[70 + 24] * 65536 + words[70 + 25]
    assert inverter_wh == export_wh(plant, "2016-08-01T00:00:00-07:00") == 858_896


BOILER = f"""
name = "boiler"
[source]
kind = "record"
file = "{SHARED_BOILER}"
mapping = "{DATA / "heat-meter.map.toml"}"
[[meters]]
model = "spirax-sarco-tva"
unit = 1
serial = "T1"
[[meters]]
model = "abb-b23"
unit = 2
serial = "B1"
reads = {{ power_w = "aux_power_w", import_wh = "aux_wh" }}
"""


@pytest.mark.skipif(
    not SHARED_BOILER.exists(), reason="the recorded boiler stays outside the project: no ../shared/data"
)
def test_boiler_heat_register_gives_the_published_sums(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(BOILER)
    plant = load_plant(tmp_path / "plant.toml", {})
    for start, end, expected_kwh in [
        ("2018-02-01", "2018-03-01", "2707.590"),
        ("2019-01-01", "2019-02-01", "2792.148"),
        ("2019-01-01", "2020-01-01", "17517.189"),
    ]:
        counted = heat_kwh(plant, f"{end}T00:00:00Z") - heat_kwh(plant, f"{start}T00:00:00Z")
        assert abs(counted - Fraction(expected_kwh)) <= 1, (start, end)
    words = plant.meters[0].registers(ms("2018-01-02T23:30:00Z"))[0]
    assert words[7] == 5347  # 5347.614 kWh truncated, held until the next row
    assert words[6] == 3  # (5350.737 - 5347.614) kWh in the hour


def record(folder: Path, rows: str, *quantities: QuantityMap, last_s: int = 3600) -> Record:
    (folder / "r.csv").write_text("time,a\n" + rows)
    return Record(folder / "r.csv", Mapping(list(quantities), last_s))


def test_every_kind_of_quantity(tmp_path: Path) -> None:
    rows = "1970-01-01T00:00:00Z,3\n1970-01-01T01:00:00Z,-1.5\n1970-01-01T03:00:00Z,0.3\n"
    source = record(
        tmp_path,
        rows,
        QuantityMap("g", "gauge", "a", factor="2"),
        QuantityMap("up", "integral", "a", "positive"),
        QuantityMap("down", "integral", "a", "negative"),
        QuantityMap("both", "integral", "a"),
        QuantityMap("reg", "register", "a", factor="1/3"),
        QuantityMap("rate", "slope", "a"),
        QuantityMap("c", "constant", factor="-7.25"),
    )
    hour = 3_600_000
    assert [source.value("g", t) for t in (0, hour - 1, hour)] == [6, 6, -3]
    assert [source.value("up", t) for t in (0, hour // 2, hour, 3 * hour, 4 * hour, 9 * hour)] == [
        0, Fraction(3, 2), 3, 3, Fraction(33, 10), Fraction(33, 10),
    ]  # fmt: skip
    assert source.value("down", 2 * hour) == Fraction(3, 2)
    assert source.value("both", 3 * hour) == 0
    assert source.value("reg", 3 * hour) == Fraction(1, 10)
    assert [source.value("rate", t) for t in (0, hour, 3 * hour)] == [Fraction(-9, 2), Fraction(9, 10), 0]
    assert source.value("c", 5) == Fraction(-29, 4)


def test_one_millisecond_is_counted_exactly(tmp_path: Path) -> None:
    source = record(tmp_path, "1970-01-01T00:00:00Z,0.1\n", QuantityMap("up", "integral", "a", "positive"))
    assert source.value("up", 1) == Fraction(1, 36_000_000)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("1970-01-01T00:00:00,1\n", "has no zone"),
        ("yesterday,1\n", "is no ISO 8601 time"),
        ("1970-01-01T00:00:00Z,\n", "line 2 column a"),
        ("1970-01-01T00:00:00Z,NaN\n", "is no number"),
        ("1970-01-01T00:00:00Z,1e999999\n", "is no number"),
        ("1970-01-01T00:00:00Z,1\n1970-01-01T00:00:00Z,2\n", "line 3: time"),
        ("", "has no rows"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, rows: str, says: str) -> None:
    with pytest.raises(RecordInvalid, match=says):
        record(tmp_path, rows, QuantityMap("g", "gauge", "a"))


def test_a_missing_column_and_a_doubled_quantity_are_named(tmp_path: Path) -> None:
    rows = "1970-01-01T00:00:00Z,1\n"
    with pytest.raises(RecordInvalid, match="column 'b' once; its header is time, a"):
        record(tmp_path, rows, QuantityMap("g", "gauge", "b"))
    with pytest.raises(RecordInvalid, match="names a quantity twice"):
        record(tmp_path, rows, QuantityMap("g", "gauge", "a"), QuantityMap("g", "constant"))
    with pytest.raises(RecordInvalid, match="cannot be read"):
        Record(tmp_path / "absent.csv", Mapping([QuantityMap("g", "gauge", "a")], 1))
