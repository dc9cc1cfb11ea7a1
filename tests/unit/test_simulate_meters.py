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
