"""Recorded files become exact registers; what cannot be used is named."""

from __future__ import annotations

import struct
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import pytest

from simulate.plant import Plant, load_plant
from simulate.record import Mapping, QuantityMap, Record, RecordInvalid

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "simulate" / "data"
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
SHARED_BOILER = SHARED_DATA / "boiler.csv"
needs_shared = pytest.mark.skipif(
    not SHARED_DATA.exists(), reason="these recorded plants stay outside the project: no ../shared/data"
)


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
    start, end = "2016-07-01T00:00:00-07:00", "2016-08-01T00:00:00-07:00"
    assert inverter_wh(plant, end) - inverter_wh(plant, start) == 858_896
    assert export_wh(plant, end) - export_wh(plant, start) == 858_896


def inverter_wh(plant: Plant, at: str) -> int:
    words = plant.meters[0].registers(ms(at))[40000]
    return words[70 + 24] * 65536 + words[70 + 25]


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


@needs_shared
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


CHILLER = f"""
name = "chiller"
[source]
kind = "record"
file = "{SHARED_DATA / "chiller.csv"}"
mapping = "{DATA / "chiller.map.toml"}"
[[meters]]
model = "carlo-gavazzi-em340"
unit = 1
serial = "E1"
[[meters]]
model = "carrier-23xrv"
unit = 2
serial = "C1"
"""
TRANSFORMER = f"""
name = "transformer"
[source]
kind = "record"
file = "{SHARED_DATA / "transformer.csv"}"
mapping = "{DATA / "transformer.map.toml"}"
[[meters]]
model = "janitza-umg-96rm-e"
unit = 1
serial = "U1"
reads.power_w = "primary_w"
reads.import_wh = "primary_wh"
reads.export_wh = "primary_returned_wh"
reads.phase_v = "primary_phase_v"
[[meters]]
model = "abb-b23"
unit = 2
serial = "B1"
reads = {{ power_w = "secondary_w", import_wh = "secondary_wh", export_wh = "secondary_returned_wh" }}
"""


def low_first(words: tuple[int, ...]) -> int:
    return words[1] * 65536 + words[0]


@needs_shared
def test_chiller_energy_register_gives_the_published_sums(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(CHILLER)
    meter = load_plant(tmp_path / "plant.toml", {}).meters[0]
    for start, end, expected_kwh in [
        ("2025-04-01", "2025-05-01", "131420.4"),
        ("2025-07-01", "2025-08-01", "121079.8"),
        ("2025-09-01", "2025-10-01", "108081.7"),
    ]:
        counts = [low_first(meter.registers(ms(f"{day}T00:00:00+08:00"))[0x34]) for day in (start, end)]
        assert abs(Fraction(counts[1] - counts[0], 10) - Fraction(expected_kwh)) <= Fraction(1, 10), start


@needs_shared
def test_a_recorded_chillers_last_row_is_on_its_registers(tmp_path: Path) -> None:
    """The row 2025-10-27T16:00:00+08:00,313.5,7.2,13.0,28.8,33.4,412.6,68.5."""
    (tmp_path / "plant.toml").write_text(CHILLER)
    power, controller = (
        m.registers(ms("2025-10-27T16:30:00+08:00")) for m in load_plant(tmp_path / "plant.toml", {}).meters
    )
    assert low_first(power[0x28]) == 3_135_000
    assert abs(low_first(power[0x00][:2]) / 10 - 412.6 / 3**0.5) < 2.5
    assert controller[0x28] == (7,)
    floats = {at: struct.unpack(">f", struct.pack(">2H", *controller[at]))[0] for at in (0x30, 0x3B, 0x3C, 0x3D, 0x3E)}
    assert floats == pytest.approx({0x30: 7, 0x3B: 13.0, 0x3C: 7.2, 0x3D: 28.8, 0x3E: 33.4})


@needs_shared
def test_a_recorded_transformer_stays_within_its_meters(tmp_path: Path) -> None:
    """The largest loads of the record, 23.644 and −22.706 on the primary side, 8.498 and −1.188 on the secondary."""
    (tmp_path / "plant.toml").write_text(TRANSFORMER)
    plant = load_plant(tmp_path / "plant.toml", {})
    source = plant.source
    hours = range(source.span.start_ms, source.span.end_ms, 3_600_000)

    def extremes(unit: int, name: str, address: int) -> list[bytes]:
        """What the meter shows of its largest and of its smallest power."""
        by_power = sorted(hours, key=lambda t_ms: source.value(name, t_ms))
        return [words_at(plant.meters[unit].registers(by_power[k]), address) for k in (-1, 0)]

    primary, secondary = extremes(0, "primary_w", 19026), extremes(1, "secondary_w", 0x5B14)
    assert [struct.unpack(">f", words)[0] for words in primary] == [23_644_000, -22_706_000]
    assert [struct.unpack(">i", words)[0] for words in secondary] == [849_800_000, -118_800_000]
    days = [words_at(plant.meters[0].registers(t_ms), 19068) for t_ms in hours[::24]]
    energies = [struct.unpack(">f", words)[0] for words in days]
    assert energies == sorted(energies)
    assert energies[-1] == pytest.approx(float(source.value("primary_wh", hours[::24][-1])), abs=8192)


def words_at(registers: dict[int, tuple[int, ...]], address: int) -> bytes:
    """The two words at `address`, as bytes."""
    held = {start + k: word for start, words in registers.items() for k, word in enumerate(words)}
    return struct.pack(">2H", held[address], held[address + 1])


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
