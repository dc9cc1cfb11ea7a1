"""Every kind of fault on every meter model, through a real socket; and what a schedule cannot say, in one sentence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import click.testing
import msgspec
import pytest

from hakari.errors import BadConfiguration
from simulate.cli import simulate
from simulate.faults import KINDS, Fault, disturbed
from simulate.meters import MODELS
from simulate.modbus import PlantServer
from simulate.plant import MeterSettings, Plant, PlantSettings, RecordSource, load_plant, ms_of
from simulate.scenario import load_scenario
from simulate.schedule import Faults, load_schedule, parse_fault
from simulate.source import Span
from simulate.words import Words

DATA = Path(__file__).resolve().parents[2] / "simulate" / "data"
HOUR_MS = 3_600_000
T0 = 1_467_331_200_000  # 2016-07-01T00:00:00Z
FROM, UNTIL = "2016-07-01T10:00:00Z", "2016-07-01T12:00:00Z"
BEFORE, FIRST, INSIDE, AFTER = T0 + 9 * HOUR_MS, T0 + 10 * HOUR_MS, T0 + 11 * HOUR_MS, T0 + 12 * HOUR_MS
FAULTY, NEIGHBOUR = 1, 2
SIGN_ONLY = {"load_percent"}  # of this a register tells only whether it is above zero
QUIET_S = 0.15  # how long nothing may come where nothing may come
WAIT_S = 10.0


class Ramp:
    """Every quantity rises: counters fast, gauges within what a meter shows."""

    span = Span(T0, 2 * T0)
    quantities = frozenset(name for model in MODELS.values() for name in (*model.needs, *model.optional))

    def value(self, quantity: str, t_ms: int) -> Fraction:
        hours = Fraction(t_ms - T0, HOUR_MS)
        if any(quantity in model.counters for model in MODELS.values()):
            return 50_000 + 1234 * hours
        return (20 + hours / 2) * (1000 if quantity.endswith("_w") else 1)


def plant_of(model: str) -> Plant:
    meters = [MeterSettings(model=model, unit=unit, serial=f"S-{unit}") for unit in (FAULTY, NEIGHBOUR)]
    unused = RecordSource(file="", mapping="")
    return Plant(PlantSettings(name="p", source=unused, meters=meters), Ramp())


class Answer(NamedTuple):
    """One frame from a meter: transaction, unit, words or the exception."""

    transaction: int
    unit: int
    words: Words
    exception: int


class Wire:
    """A raw Modbus TCP connection to a served plant; `t_ms` is the plant's time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, plant: Plant) -> None:
        self._reader = reader
        self._writer = writer
        self._transaction = 0
        self.plant = plant
        self.model = plant.meters[0].model
        self.t_ms = BEFORE

    def at(self, t_ms: int) -> Wire:
        self.t_ms = t_ms
        return self

    def ask(self, unit: int, address: int, count: int, function: int | None = None) -> int:
        self._transaction += 1
        code = self.model.function(address) if function is None else function
        pdu = bytes((unit, code)) + address.to_bytes(2, "big") + count.to_bytes(2, "big")
        self._writer.write(self._transaction.to_bytes(2, "big") + b"\0\0" + len(pdu).to_bytes(2, "big") + pdu)
        return self._transaction

    async def hear(self) -> Answer:
        async with asyncio.timeout(WAIT_S):
            header = await self._reader.readexactly(7)
            pdu = await self._reader.readexactly(int.from_bytes(header[4:6], "big") - 1)
        exception = pdu[1] if pdu[0] & 0x80 else 0
        words = () if exception else tuple(int.from_bytes(pdu[k : k + 2], "big") for k in range(2, len(pdu), 2))
        return Answer(int.from_bytes(header[:2], "big"), header[6], words, exception)

    async def hears_nothing(self) -> bool:
        try:
            async with asyncio.timeout(QUIET_S):
                await self._reader.readexactly(1)
        except TimeoutError:
            return True
        return False

    def blocks(self, t_ms: int, unit: int = FAULTY) -> dict[int, Words]:
        """The truth, in pieces that one request may take."""
        truth = self.plant.meters[unit - 1].registers(t_ms)
        return {start + k: words[k : k + 120] for start, words in truth.items() for k in range(0, len(words), 120)}

    async def read(self, unit: int = FAULTY) -> dict[int, Words]:
        """Every register of the meter as it is answered now."""
        found = {}
        for start, words in self.blocks(self.t_ms, unit).items():
            asked = self.ask(unit, start, len(words))
            answer = await self.hear()
            assert (answer.transaction, answer.unit, answer.exception) == (asked, unit, 0)
            found[start] = answer.words
        return found

    async def reads_true(self, unit: int = FAULTY) -> bool:
        return await self.read(unit) == self.blocks(self.t_ms, unit)

    async def exceptions(self) -> set[int]:
        """The exceptions that every register of the faulty meter is answered by."""
        found = set()
        for start, words in self.blocks(self.t_ms).items():
            self.ask(FAULTY, start, len(words))
            found.add((await self.hear()).exception)
        return found


@asynccontextmanager
async def served(model: str, *faults: str) -> AsyncIterator[Wire]:
    plant = plant_of(model)
    window = f"unit={FAULTY} from={FROM} until={UNTIL} "
    wires: list[Wire] = []
    schedule = Faults([parse_fault(window + fault) for fault in faults], [plant])
    server = PlantServer(plant, lambda: wires[0].t_ms if wires else BEFORE, schedule)
    await server.start()
    try:
        wires.append(Wire(*await asyncio.open_connection("127.0.0.1", server.port), plant))
        yield wires[0]
        assert await wires[0].at(INSIDE).reads_true(NEIGHBOUR)
        assert await wires[0].at(AFTER).reads_true()
        assert await wires[0].at(BEFORE).reads_true()
    finally:
        await server.stop()


async def silence(model: str) -> None:
    async with served(model, "kind=silence") as wire:
        address, words = next(iter(wire.blocks(INSIDE).items()))
        wire.at(INSIDE).ask(FAULTY, address, len(words))
        assert await wire.hears_nothing()
        assert await wire.reads_true(NEIGHBOUR)  # on the same connection, which is still open


async def exception(model: str) -> None:
    async with served(model, "kind=exception code=6", "kind=exception code=4") as wire:
        assert await wire.at(INSIDE).exceptions() == {6}


async def slow(model: str) -> None:
    async with served(model, f"kind=slow delay_s={2 * QUIET_S}") as wire:
        address, words = next(iter(wire.blocks(INSIDE).items()))
        asked = wire.at(INSIDE).ask(FAULTY, address, len(words))
        assert await wire.hears_nothing()
        assert await wire.hear() == Answer(asked, FAULTY, words, 0)


async def late(model: str) -> None:
    """What is asked meanwhile is answered at once, and the late answer still has its own transaction and unit."""
    async with served(model, f"kind=late delay_s={2 * QUIET_S}") as wire:
        address, words = next(iter(wire.blocks(INSIDE).items()))
        asked = wire.at(INSIDE).ask(FAULTY, address, len(words))
        assert await wire.hears_nothing()
        other = wire.ask(NEIGHBOUR, address, len(words))
        truth = wire.blocks(INSIDE, NEIGHBOUR)[address]
        assert await wire.hear() == Answer(other, NEIGHBOUR, truth, 0)
        assert await wire.hear() == Answer(asked, FAULTY, words, 0)


async def spike(model: str) -> None:
    """Of every quantity alone, so that each one is known to be touched, and of all at once at both ends."""
    for quantity in plant_of(model).meters[0].quantities:
        async with served(model, f"kind=spike quantities={quantity} factor=-1") as wire:
            assert not await wire.at(INSIDE).reads_true(), quantity
    for wild in ("value=0", "value=1e15", "value=-1e15", "factor=1e15", "factor=-1"):
        async with served(model, f"kind=spike {wild}") as wire:
            assert not await wire.at(INSIDE).reads_true(), wild


async def stuck(model: str) -> None:
    async with served(model, "kind=stuck") as wire:
        assert await wire.at(INSIDE).read() == wire.blocks(FIRST)
    for quantity in set(plant_of(model).meters[0].quantities) - SIGN_ONLY:
        async with served(model, f"kind=stuck quantities={quantity}") as wire:
            found = await wire.at(INSIDE).read()
            assert found not in (wire.blocks(FIRST), wire.blocks(INSIDE))


async def zero(model: str) -> None:
    if not MODELS[model].counters:
        return
    async with served(model, "kind=zero") as wire:
        dropped = await wire.at(INSIDE).read()
        assert dropped not in (wire.blocks(INSIDE), wire.blocks(FIRST))
    async with served(model, "kind=zero counts=true") as wire:
        assert await wire.at(FIRST).read() not in (wire.blocks(FIRST), dropped)
        assert await wire.at(INSIDE).read() not in (wire.blocks(INSIDE), dropped)


async def replaced(model: str) -> None:
    """A counter of the new meter runs as the old one's does; a model that tells its serial tells the new one."""
    for start in (0, 10_000_000):
        async with served(model, f"kind=replaced start={start} new_serial=NEW-7") as wire:
            found = await wire.at(INSIDE).read()
            assert MODELS[model].counters == () or found != wire.blocks(INSIDE)
            tells = b"S-1" in _bytes(wire.blocks(INSIDE).values())
            assert (b"NEW-7" in _bytes(found.values())) == tells


async def hole(model: str) -> None:
    async with served(model, "kind=hole") as wire:
        assert await wire.at(INSIDE).exceptions() == {2}
    for gone, words in dict(plant_of(model).meters[0].registers(INSIDE)).items():
        async with served(model, f"kind=hole address={gone + len(words) - 1} count=1") as wire:
            assert await wire.at(INSIDE).exceptions() in ({0, 2}, {2})
        break


def _bytes(blocks: Iterable[Words]) -> bytes:
    return b"".join(word.to_bytes(2, "big") for words in blocks for word in words)


CHECKS: dict[str, Callable[[str], Awaitable[None]]] = {
    check.__name__: check for check in (silence, exception, slow, late, spike, stuck, zero, replaced, hole)
}


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("kind", [kind.kind() for kind in KINDS])
def test_every_kind_on_every_meter(kind: str, model: str) -> None:
    async def run() -> None:
        await CHECKS[kind](model)

    asyncio.run(run())


def test_functions_that_the_meter_has_not_and_units_that_nobody_is() -> None:
    async def run() -> None:
        async with served("abb-b23", "kind=slow delay_s=0.01") as wire:
            for function in (1, 4, 6):
                wire.at(INSIDE).ask(NEIGHBOUR, 0x5000, 1, function)
                assert (await wire.hear()).exception == 1
            for unit in (0, 9, 247):
                asked = wire.ask(unit, 0x5000, 1)
                assert await wire.hear() == Answer(asked, unit, (), 11)

    asyncio.run(run())


def test_faults_add_up_in_their_order() -> None:
    plant = plant_of("abb-b23")
    words = ["replaced start=100", "stuck quantities=import_wh", "spike quantities=import_wh factor=2"]
    faults = [parse_fault(f"unit=1 from={FROM} until={UNTIL} kind={each}") for each in words]
    assert disturbed(plant.meters[0], faults, INSIDE).value("import_wh") == 200
    assert disturbed(plant.meters[0], faults[:1], INSIDE).value("import_wh") == 100 + 1234
    assert disturbed(plant.meters[0], faults[1:], INSIDE).value("import_wh") == 2 * (50_000 + 10 * 1234)
    assert disturbed(plant.meters[0], faults, AFTER).value("import_wh") == 50_000 + 12 * 1234


def test_a_spike_beyond_the_register_is_held_at_its_end_or_runs_over() -> None:
    for model in MODELS:
        plant = plant_of(model)
        for wild in ("value=1e15", "value=-1e15", "value=0", "factor=0"):
            fault = parse_fault(f"unit=1 kind=spike {wild}")
            for words in MODELS[model].registers(disturbed(plant.meters[0], [fault], INSIDE)).values():
                assert all(0 <= word <= 0xFFFF for word in words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("unit=1 kind=silense", "kind 'silense' is unknown; did you mean silence?"),
        ("unit=1 kind=x", "there are silence, exception, slow, late, spike, stuck, zero, replaced, hole"),
        ("unit=1", "kind is missing"),
        ("silence", "'silence' is no key=value"),
        ("unit=1 unit=2 kind=silence", "unit is given twice"),
        ("unit=1 kind='silence", "a quote is not closed"),
        ("unit=1 kind=silence until=2016-07-02T00:00:00", "has no zone; add its offset"),
        ("unit=1 kind=silence until=tomorrow", "is no ISO 8601 time"),
        ("unit=1 kind=slow delay=3", "delay is not a known key; did you mean delay_s?"),
        ("unit=1 kind=slow delay_s=0", "delay_s = 0"),
        ("unit=1 kind=slow delay_s=nan", "delay_s is nan"),
        ("unit=1 kind=silence code=3", "code is not a known key"),
        ("unit=1 kind=exception code=0", "code = 0"),
        ("unit=one kind=silence", "unit = 'one'"),
        ("kind=silence", "no meter is named; give its unit or serial"),
        ("unit=3 kind=silence", "no meter has unit 3; there are solar unit 1 (INV-0001)"),
        ("serial=X kind=silence", "no meter has serial X"),
        ("unit=1 kind=silence", "unit 1 is in the plants solar, boiler; say which by plant"),
        ("unit=1 plant=sonne kind=silence", "there is no plant 'sonne'; there are solar, boiler"),
        ("serial=TVA-0001 kind=stuck", "`from` is missing"),
        ("serial=TVA-0001 kind=spike", "give either `factor` or `value`"),
        ("serial=TVA-0001 kind=spike factor=2 value=3", "give either `factor` or `value`"),
        ("serial=TVA-0001 kind=zero from=2016-07-02T00:00:00Z quantities=heat_power_w", "it counts heat_wh, steam_kg"),
        ("serial=TVA-0001 kind=spike factor=2 quantities=power_w", "it measures heat_wh, heat_power_w"),
        (f"serial=TVA-0001 kind=silence from={UNTIL} until={FROM}", "is not after from"),
        ("serial=TVA-0001 kind=stuck from=2015-07-02T00:00:00Z", "is outside what plant boiler knows"),
        ("serial=TVA-0001 kind=silence from=0001-01-01T00:00:00+14:00", "is not between 1970-"),
        ("serial=TVA-0001 kind=silence from=2017-07-01T00:00:00Z", "but plant time runs from 2016-07-01T07:00:00"),
        ("serial=TVA-0001 kind=silence until=2016-07-01T07:00:00Z", "but plant time runs from 2016-07-01T07:00:00"),
    ],
)
def test_a_fault_that_cannot_be_is_one_sentence(tmp_path: Path, words: str, says: str) -> None:
    (tmp_path / "s.toml").write_text(
        f'plants = ["{DATA / "solar.toml"}", "{DATA / "boiler.toml"}"]\n'
        "start = 2016-07-01T00:00:00-07:00\nend = 2016-07-03T01:00:00-07:00\n[lockstep]\nedges = ['sola-e1']\n"
    )
    with pytest.raises(BadConfiguration) as caught:
        load_scenario(tmp_path / "s.toml", {}, [parse_fault(words)])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rest", ["", " quantities=load_percent"])
def test_a_meter_that_counts_nothing_cannot_count_zero(rest: str) -> None:
    fault = parse_fault(f"unit=1 kind=zero from={FROM}{rest}")
    with pytest.raises(BadConfiguration) as caught:
        Faults([fault], [plant_of("carrier-23xrv")])
    assert str(caught.value) == (
        "fault 1 (zero): meter S-1 has no counter, which this kind needs; name another meter or kind"
    )


def test_a_schedule_file_says_what_the_words_say(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(
        f'[[fault]]\nserial = "TVA-0001"\nkind = "spike"\nfrom = {FROM}\nquantities = ["heat_wh"]\nfactor = 3\n'
        f'[[fault]]\nunit = 2\nplant = "boiler"\nkind = "late"\nuntil = {UNTIL}\n'
    )
    words = (
        f"serial=TVA-0001 kind=spike from={FROM} quantities=heat_wh factor=3",
        f"unit=2 plant=boiler kind=late until={UNTIL}",
    )
    assert load_schedule(tmp_path / "f.toml") == [parse_fault(each) for each in words]
    (tmp_path / "s.toml").write_text(
        f'plants = ["{DATA / "boiler.toml"}"]\nfaults = "f.toml"\n'
        "start = 2016-07-01T00:00:00-07:00\nend = 2016-07-03T01:00:00-07:00\n[lockstep]\nedges = ['sola-e1']\n"
    )
    more = parse_fault("unit=1 kind=silence")
    plant = load_plant(DATA / "boiler.toml", {})
    faults = load_scenario(tmp_path / "s.toml", {}, [more]).faults
    assert [fault.kind() for fault in faults.of(plant, plant.meters[0])] == ["spike", "silence"]
    assert faults.lines[1] == ("boiler unit 2 (B23-0001): late from the beginning until 2016-07-01T12:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("[[faults]]\nkind = 'silence'", "faults is not a known key; did you mean fault?"),
        ("[[fault]]\nunit = 1", "kind"),
        ("[[fault]]\nunit = 1\nkind = 'silense'", "fault 1: kind 'silense' is unknown; did you mean silence?"),
        ("[[fault]]\nunit = 1\nkind = 'x'", "there are silence, exception, slow, late, spike, stuck, zero"),
        ("[[fault]]\nkind = 'hole'\n[[fault]]\nunit = 1\nkind = 2", "fault 2: kind '2' is unknown; there are silence"),
        ("[[fault]]\nkind = 'hole'\nfrom = 2016-07-01T00:00:00", "from '2016-07-01T00:00:00' has no zone; add its"),
        ("[[fault]]\nkind = 'hole'\nfrom = '2016-07-01T00:00'", "from '2016-07-01T00:00' has no zone; add its offset"),
        ("[[fault]]\nkind = 'hole'\nuntil = 2016-07-01", "until '2016-07-01' has no zone; add its offset"),
        ("[[fault]]\nkind = 'hole'\nuntil = 10:00:00", "until '10:00:00' is no ISO 8601 time; write one such as"),
        ("[[fault]]\nkind = 'hole'\nuntil = [1]", "until '[1]' is no ISO 8601 time; write one such as"),
        ("fault = ['hole']", "fault#1"),
        ("[[fault]]\nunit = 1\nkind = 'slow'\ndelay = 2", "delay"),
        ("fault = []", "fault"),
    ],
)
def test_a_schedule_file_that_cannot_be_used(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(BadConfiguration) as caught:
        load_schedule(tmp_path / "f.toml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_tells_every_kind_and_parameter() -> None:
    runner = click.testing.CliRunner()
    text = runner.invoke(simulate, ["faults"]).output
    told = json.loads(runner.invoke(simulate, ["faults", "--json"]).output)
    assert [one["kind"] for one in told["kinds"]] == [kind.kind() for kind in KINDS] == list(CHECKS)
    for kind in KINDS:
        names = {field.encode_name for field in _fields(kind)}
        mine = next(one for one in told["kinds"] if one["kind"] == kind.kind())
        assert names == set(told["common"]) | {parameter["name"] for parameter in mine["parameters"]}
        assert all(name in text for name in names | {kind.kind()})


def _fields(kind: type[Fault]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def test_ms_of_the_window() -> None:
    fault = parse_fault(f"unit=1 kind=silence from={FROM} until={UNTIL}")
    assert fault.starts is not None
    assert (ms_of(fault.starts), fault.at(FIRST - 1), fault.at(FIRST), fault.at(AFTER - 1), fault.at(AFTER)) == (
        FIRST, False, True, True, False,
    )  # fmt: skip
