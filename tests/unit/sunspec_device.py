"""SunSpec's tables written down by hand, and devices laid out by them: nothing of this knows the edge's own data.

Offsets count from a model's ID; `module` is the repeating part of model 160, whose offsets count from its own start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edge.sunspec.chain import BASES, Chain, Heard, walk
from edge.sunspec.definitions import definitions

COMMON = """
2 Mn string
18 Md string
34 Opt string
42 Vr string
50 SN string
"""
INVERTER = """
2 A uint16 A_SF A
3 AphA uint16 A_SF A
4 AphB uint16 A_SF A
5 AphC uint16 A_SF A
6 A_SF sunssf
10 PhVphA uint16 V_SF V
11 PhVphB uint16 V_SF V
12 PhVphC uint16 V_SF V
13 V_SF sunssf
14 W int16 W_SF W
15 W_SF sunssf
16 Hz uint16 Hz_SF Hz
17 Hz_SF sunssf
18 VA int16 VA_SF VA
19 VA_SF sunssf
20 VAr int16 VAr_SF var
21 VAr_SF sunssf
22 PF int16 PF_SF %
23 PF_SF sunssf
24 WH acc32 WH_SF Wh
26 WH_SF sunssf
27 DCA uint16 DCA_SF A
28 DCA_SF sunssf
29 DCV uint16 DCV_SF V
30 DCV_SF sunssf
31 DCW int16 DCW_SF W
32 DCW_SF sunssf
33 TmpCab int16 Tmp_SF °C
37 Tmp_SF sunssf
38 St enum16
39 StVnd enum16
40 Evt1 bitfield32
"""
INVERTER_FLOAT = """
2 A float32 - A
16 PhVphA float32 - V
18 PhVphB float32 - V
20 PhVphC float32 - V
22 W float32 - W
24 Hz float32 - Hz
26 VA float32 - VA
28 VAr float32 - var
30 PF float32 - %
32 WH float32 - Wh
38 DCW float32 - W
40 TmpCab float32 - °C
48 St enum16
49 StVnd enum16
"""
METER = """
2 A int16 A_SF A
6 A_SF sunssf
7 PhV int16 V_SF V
8 PhVphA int16 V_SF V
15 V_SF sunssf
16 Hz int16 Hz_SF Hz
17 Hz_SF sunssf
18 W int16 W_SF W
19 WphA int16 W_SF W
20 WphB int16 W_SF W
21 WphC int16 W_SF W
22 W_SF sunssf
23 VA int16 VA_SF VA
27 VA_SF sunssf
28 VAR int16 VAR_SF var
32 VAR_SF sunssf
33 PF int16 PF_SF %
37 PF_SF sunssf
38 TotWhExp acc32 TotWh_SF Wh
40 TotWhExpPhA acc32 TotWh_SF Wh
46 TotWhImp acc32 TotWh_SF Wh
48 TotWhImpPhA acc32 TotWh_SF Wh
54 TotWh_SF sunssf
105 Evt bitfield32
"""
METER_FLOAT = """
2 A float32 - A
10 PhV float32 - V
26 Hz float32 - Hz
28 W float32 - W
30 WphA float32 - W
32 WphB float32 - W
34 WphC float32 - W
36 VA float32 - VA
44 VAR float32 - var
52 PF float32 - 1
60 TotWhExp float32 - Wh
68 TotWhImp float32 - Wh
124 Evt bitfield32
"""
INPUTS = """
2 DCA_SF sunssf
3 DCV_SF sunssf
4 DCW_SF sunssf
5 DCWH_SF sunssf
"""
MODULE = """
9 DCA uint16 DCA_SF A
10 DCV uint16 DCV_SF V
11 DCW uint16 DCW_SF W
12 DCWH acc32 DCWH_SF Wh
16 Tmp int16 - °C
17 DCSt enum16
"""
MODULES_AT, MODULE_WORDS, COUNT_AT = 10, 20, 8
LENGTHS = {1: 66, 101: 50, 102: 50, 103: 50, 113: 60, 201: 105, 202: 105, 203: 105, 204: 105, 213: 124}
TABLES = {
    1: COMMON, 101: INVERTER, 102: INVERTER, 103: INVERTER, 113: INVERTER_FLOAT, 201: METER, 202: METER, 203: METER,
    204: METER, 213: METER_FLOAT, 160: INPUTS,
}  # fmt: skip
WIDE = ("acc32", "float32", "bitfield32")
END = (0xFFFF, 0)
MARK = (0x5375, 0x6E53)


class Row(NamedTuple):
    """One line of a table."""

    offset: int
    name: str
    type: str
    scale: str = ""
    unit: str = ""

    def words(self, raw: int) -> tuple[int, ...]:
        """A bit pattern as its registers, high first."""
        return (raw >> 16, raw & 0xFFFF) if self.type in WIDE else (raw,)


def rows(table: str) -> list[Row]:
    """The lines of a table."""
    found = []
    for line in table.split("\n"):
        if line:
            offset, name, type_, *more = line.split()
            found.append(Row(int(offset), name, type_, *("" if cell == "-" else cell for cell in more)))
    return found


def text(value: str, words: int) -> tuple[int, ...]:
    """A string in so many registers."""
    data = value.encode().ljust(2 * words, b"\0")
    return tuple(int.from_bytes(data[k : k + 2], "big") for k in range(0, 2 * words, 2))


def common(length: int = 66, serial: str = "S-1") -> tuple[int, ...]:
    """Model 1 from its ID on."""
    strings = (*text("Maker", 16), *text("Model 7", 16), *text("", 8), *text("1.2", 8), *text(serial, 16))
    return (1, length, *strings, 1, 0x8000)[: 2 + length]


def model(id_: int, raws: Mapping[str, int], length: int = 0, fill: int = 0xFFFF) -> tuple[int, ...]:
    """A model from its ID on, the registers of which nothing is said hold `fill`."""
    length = length or LENGTHS[id_]
    words = [id_, length, *[fill] * length]
    for row in rows(TABLES.get(id_, "")):
        if row.name in raws:
            put(words, row.offset, row.words(raws[row.name]))
    return tuple(words)


def inputs(raws: Mapping[str, int], modules: Sequence[Mapping[str, int]], fill: int = 0xFFFF) -> tuple[int, ...]:
    """Model 160 with these modules."""
    words = list(model(160, raws, 8 + MODULE_WORDS * len(modules), fill))
    words[COUNT_AT] = len(modules)
    for number, held in enumerate(modules):
        for row in rows(MODULE):
            put(words, MODULES_AT + MODULE_WORDS * number + row.offset, row.words(held[row.name]))
    return tuple(words)


def put(words: list[int], at: int, values: tuple[int, ...]) -> None:
    """Writes registers into a model."""
    words[at : at + len(values)] = values


class Device:
    """Registers of one unit; what it has not is answered by exception 2."""

    def __init__(self, base: int, *models: tuple[int, ...], end: tuple[int, ...] = END) -> None:
        """Mark, models and end model, one after the other from `base` on."""
        words = (*MARK, *(word for each in models for word in each), *end)
        self.words = {base + k: word for k, word in enumerate(words)}
        self.asked: list[tuple[int, int]] = []

    def read(self, address: int, count: int) -> Heard:
        """One read as a walk hears it."""
        self.asked.append((address, count))
        found = [self.words.get(at) for at in range(address, address + count)]
        if None in found:
            return Heard(error="exception 2 (illegal data address)")
        return Heard(tuple(word for word in found if word is not None))

    def answer(self, address: int, count: int) -> bytes:
        """The PDU of a read with function code 3."""
        heard = self.read(address, count)
        return bytes((3, 2 * count)) + b"".join(word.to_bytes(2, "big") for word in heard.words)


def walked(device: Device, bases: tuple[int, ...] = BASES) -> Chain:
    """The chain of `device`."""
    walking = walk(definitions(), bases)
    asked = next(walking)
    while True:
        try:
            asked = walking.send(device.read(asked.address, asked.registers))
        except StopIteration as done:
            chain: Chain = done.value
            return chain
