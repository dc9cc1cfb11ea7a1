"""The simulated meters' registers, decoded here by hand from the makers' tables."""

from __future__ import annotations

import struct
from fractions import Fraction

import pytest

from simulate.meters import MODELS
from simulate.readout import Nameplate, Readout, scale_for, whole
from simulate.source import Span


class Fixed:
    """A source with the same values at any time."""

    span = Span(0, 1)

    def __init__(self, **values: str) -> None:
        self._values = {name: Fraction(text) for name, text in values.items()}
        self.quantities = frozenset(values)

    def value(self, quantity: str, t_ms: int) -> Fraction:
        del t_ms
        return self._values[quantity]


def registers(model: str, source: Fixed, offsets: dict[str, int] | None = None, rated_w: int = 6000) -> dict[int, int]:
    """{address: word} of every register that exists."""
    readout = Readout(source, 60_000, Nameplate("S-1", rated_w), {}, offsets or {})
    blocks = MODELS[model].registers(readout)
    return {start + at: word for start, words in blocks.items() for at, word in enumerate(words)}


def take(held: dict[int, int], address: int, form: str) -> float:
    count = struct.calcsize(">" + form) // 2
    value: float = struct.unpack(">" + form, struct.pack(f">{count}H", *(held[address + k] for k in range(count))))[0]
    return value


SOLAR = Fixed(power_w="5426.4", export_wh="1234567.9", import_wh="89.2", generated_wh="1234567.9", cabinet_c="41.25")


def test_sunspec_chain_of_models_and_every_register_backed() -> None:
    held = registers("sunspec-103", SOLAR)
    assert sorted(held) == list(range(40000, 40124))
    assert struct.pack(">2H", held[40000], held[40001]) == b"SunS"
    assert (held[40002], held[40003]) == (1, 66)
    assert (held[40070], held[40071]) == (103, 50)
    assert (held[40122], held[40123]) == (0xFFFF, 0)
    assert struct.pack(">16H", *(held[40002 + 50 + k] for k in range(16))).rstrip(b"\0") == b"S-1"


def test_sunspec_values_with_their_scale_factors() -> None:
    held = registers("sunspec-103", SOLAR)
    at = 40070
    assert take(held, at + 14, "h") * 10 ** take(held, at + 15, "h") == 5426
    assert take(held, at + 24, "I") * 10 ** take(held, at + 26, "h") == 1234567
    assert held[at + 38] == 4
    assert take(held, at + 33, "h") * 10 ** take(held, at + 37, "h") == pytest.approx(41.2)
    assert 225 < take(held, at + 10, "H") * 10 ** take(held, at + 13, "h") < 235
    assert abs(take(held, at + 16, "H") * 10 ** take(held, at + 17, "h") - 50) < 0.1
    amps = take(held, at + 2, "H") * 10 ** take(held, at + 6, "h")
    assert amps == pytest.approx(5426.4 / 230, abs=0.05)
    assert [held[at + k] for k in (7, 8, 9, 34, 35, 36, 39)] == [0xFFFF] * 3 + [0x8000] * 3 + [0xFFFF]


def test_sunspec_at_night_and_a_large_inverter() -> None:
    night = Fixed(power_w="-2.8601", generated_wh="0", cabinet_c="20")
    held = registers("sunspec-103", night)
    assert take(held, 40084, "h") == -3
    assert held[40070 + 38] == 2
    big = Fixed(power_w="987654", generated_wh="0", cabinet_c="20")
    held = registers("sunspec-103", big, rated_w=1_000_000)
    assert take(held, 40084, "h") * 10 ** take(held, 40085, "h") == 987700


def test_acc32_wraps_at_its_width() -> None:
    held = registers("sunspec-103", SOLAR, {"generated_wh": 2**32 - 1_234_567 + 5})
    assert take(held, 40094, "I") == 5


def test_iem3155_energy_and_power() -> None:
    held = registers("schneider-iem3155", SOLAR, {"export_wh": 1000})
    assert take(held, 3203, "q") == 89
    assert take(held, 3207, "q") == 1_235_567
    assert take(held, 3059, "f") == pytest.approx(-5.4264)
    assert take(held, 3053, "f") == pytest.approx(-5.4264 / 3)
    assert 49.9 < take(held, 3109, "f") < 50.1
    assert take(held, 3517, "q") + take(held, 3521, "q") + take(held, 3525, "q") == 89
    assert not {2998, 3005, 3008, 3061, 3211, 3218} & set(held)


BOILER = Fixed(heat_wh="123456789.9", heat_power_w="423500.1", steam_kg="70000.7", steam_kg_h="627.4")


def test_tva_totals_low_word_first() -> None:
    held = registers("spirax-sarco-tva", BOILER)
    assert sorted(held) == list(range(12))
    assert held[1] * 65536 + held[0] == 70_000
    assert held[8] * 65536 + held[7] == 123_456
    assert (held[2], held[6], held[9], held[10]) == (627, 424, 0, 0)
    assert 1690 < held[4] < 1720


def test_tva_wraps_and_an_overloaded_gauge_stays_at_its_end() -> None:
    held = registers("spirax-sarco-tva", BOILER, {"heat_wh": 2**32 - 123_456})
    assert (held[7], held[8]) == (0, 0)
    huge = Fixed(heat_wh="0", heat_power_w="99999999999", steam_kg="0", steam_kg_h="1e9")
    held = registers("spirax-sarco-tva", huge)
    assert (held[2], held[5], held[6]) == (65535, 65535, 65535)


def test_b23_registers() -> None:
    held = registers("abb-b23", Fixed(power_w="7082.53", import_wh="92619.9"))
    assert take(held, 0x5000, "Q") == 9261
    assert take(held, 0x5004, "Q") == 0
    assert sum(take(held, 0x5460 + 4 * k, "Q") for k in range(3)) == 9261
    assert take(held, 0x5B14, "i") == 708_253
    assert take(held, 0x5B3A, "h") == 1000
    assert not {0x4FFF, 0x5008, 0x5B06, 0x5B12, 0x5B1C, 0x5B2D} & set(held)


def test_rounding_and_scales() -> None:
    assert [whole(Fraction(x, 2), 1, -10, 10) for x in (-25, -3, 1, 3, 25)] == [-10, -2, 0, 2, 10]
    assert [scale_for(x, 32766, -1) for x in (3276, 3277, 32766, 32767, 2e6)] == [-1, 0, 0, 1, 2]


CHILLER = Fixed(
    power_w="312100.06", import_wh="12345678999.9", phase_v="239.0", load_percent="69.1", control_point_c="7",
    chilled_in_c="12.75", chilled_out_c="6.5", cooling_in_c="28.5", cooling_out_c="33.25",
)  # fmt: skip


def swapped(held: dict[int, int], address: int) -> int:
    """Two words, low one first, in two's complement."""
    number = held[address + 1] * 65536 + held[address]
    return number - 2**32 if held[address + 1] & 0x8000 else number


def test_em340_low_word_first_as_input_registers() -> None:
    held = registers("carlo-gavazzi-em340", CHILLER)
    assert (held[0x34], held[0x35]) == (0xCD15, 0x075B)  # 123 456 789 counts of 0.1 kWh
    assert sum(swapped(held, at) for at in (0x40, 0x42, 0x44)) == 123_456_789
    assert swapped(held, 0x4E) == 0
    assert swapped(held, 0x28) == 3_121_001
    assert swapped(held, 0x12) == 1_040_334
    assert all(abs(swapped(held, at) - 2390) <= 21 for at in (0, 2, 4))
    assert swapped(held, 0x0C) == pytest.approx(312_100 / 3 / (swapped(held, 0) / 10) * 1000, rel=1e-3)
    assert (held[0x31], held[0x33]) == (1000, 500)
    assert not {0x06, 0x0B, 0x18, 0x27, 0x2A, 0x32, 0x36, 0x3F, 0x46, 0x4D, 0x50} & set(held)
    assert MODELS["carlo-gavazzi-em340"].functions == {4}
    assert not MODELS["carlo-gavazzi-em340"].overlap


def test_em340_wraps_before_its_sign_and_shows_what_flows_back() -> None:
    returned = Fixed(power_w="-3123.7", import_wh="0", export_wh="250")
    held = registers("carlo-gavazzi-em340", returned, {"import_wh": 2**31 + 7})
    assert (swapped(held, 0x34), swapped(held, 0x4E)) == (7, 2)
    assert (held[0x28], held[0x29]) == (0x85FB, 0xFFFF)  # −31 237 in two's complement
    assert abs(swapped(held, 0) - 2300) <= 20


def test_carrier_gives_a_value_at_each_address() -> None:
    model = MODELS["carrier-23xrv"]
    readout = Readout(CHILLER, 60_000, Nameplate("S-1", 6000), {}, {})
    assert model.registers(readout) == {
        0x28: (7,),
        0x30: (0x40E0, 0),
        0x3B: (0x414C, 0),
        0x3C: (0x40D0, 0),
        0x3D: (0x41E4, 0),
        0x3E: (0x4205, 0),
    }
    assert model.overlap
    assert [model.function(at) for at in (0x28, 0x30, 0x3B, 0x3E)] == [3, 3, 4, 4]
    still = Readout(Fixed(**dict.fromkeys(model.needs, "0")), 60_000, Nameplate("S-1", 6000), {}, {})
    assert model.registers(still)[0x28] == (0,)


def test_umg_floats_in_watt_hours() -> None:
    source = Fixed(power_w="-2000", import_wh="16777217.9", export_wh="1000000000", phase_v="12700", reactive_var="300")
    held = registers("janitza-umg-96rm-e", source)
    assert (held[19068], held[19069]) == (0x4B80, 0x0000)  # 16 777 217 is no single float, 16 777 216 is
    assert (held[19076], held[19077]) == (0x4E6E, 0x6B28)  # 15 625 000 × 2⁶
    assert (held[19026], held[19027]) == (0xC4FA, 0x0000)
    assert take(held, 19042, "f") == 300
    assert all(abs(take(held, at, "f") / 12700 - 1) < 0.01 for at in (19000, 19002, 19004))
    assert not {18999, 19006, 19018, 19028, 19052, 19070, 19078} & set(held)
    assert MODELS["janitza-umg-96rm-e"].functions == {3}


def test_without_voltage_there_is_no_current_and_no_frequency() -> None:
    dead = Fixed(power_w="0", import_wh="5000", phase_v="0")
    held = registers("janitza-umg-96rm-e", dead)
    assert [take(held, at, "f") for at in (19000, 19002, 19004, 19012, 19026, 19050)] == [0] * 6
    assert take(held, 19068, "f") == 5000
    held = registers("abb-b23", dead)
    assert [take(held, at, "I") for at in (0x5B00, 0x5B02, 0x5B04, 0x5B0C)] == [0] * 4
    assert take(held, 0x5000, "Q") == 500


def test_the_analyser_does_not_overflow_at_the_largest_transformer() -> None:
    huge = Fixed(power_w="23644000", import_wh="174000000000", export_wh="1", phase_v="63509", reactive_var="1e7")
    held = registers("janitza-umg-96rm-e", huge)
    assert take(held, 19026, "f") == 23_644_000
    assert abs(take(held, 19068, "f") - 174e9) <= 8192
