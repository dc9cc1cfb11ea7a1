"""A plant file: where its quantities come from and which meters measure them on one Modbus TCP address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from hakari import settings
from hakari.errors import BadConfiguration
from simulate.boiler import BoilerModel
from simulate.chiller import ChillerModel
from simulate.meters import MODELS
from simulate.readout import Nameplate, Readout
from simulate.record import Mapping as RecordMapping
from simulate.record import Record
from simulate.solar import SolarModel
from simulate.source import Source
from simulate.transformer import MAX_OUTAGES, Rating, TransformerModel
from simulate.words import Words

ROOM = "simulate"
MAX_METERS = 246
Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9_]{1,40}$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Seed = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Capacity = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class PlantInvalid(BadConfiguration):
    """A plant file asks for what its source or its meter models do not have."""


class RecordSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="record", tag_field="kind"):
    """A recorded CSV and its mapping file, both relative to the plant file."""

    file: str
    mapping: str


class SolarSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="solar", tag_field="kind"):
    """The seeded photovoltaic model; its counters are zero at `start`."""

    start: Moment
    capacity_kw: Capacity
    latitude_deg: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude_deg: Longitude
    seed: Seed = 1


class BoilerSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="boiler", tag_field="kind"):
    """The seeded boiler house; its counters are zero at `start`."""

    start: Moment
    capacity_kw: Capacity
    mean_outdoor_c: Annotated[float, msgspec.Meta(ge=-30, le=35)] = 7.0
    seed: Seed = 1


class ChillerSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="chiller", tag_field="kind"):
    """The seeded chiller of a building; its counter is zero at `start`. `capacity_kw` is the rated cooling."""

    start: Moment
    capacity_kw: Capacity
    longitude_deg: Longitude
    mean_outdoor_c: Annotated[float, msgspec.Meta(ge=-10, le=35)] = 26.0
    seed: Seed = 1


class TransformerSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="transformer", tag_field="kind"):
    """The seeded distribution transformer; its counters are zero at `start`.

    Losses at rated voltage without load, and at rated load. `outages` is how often in 30 days the grid is away.
    """

    start: Moment
    capacity_kva: Capacity
    no_load_loss_w: Capacity
    load_loss_w: Capacity
    longitude_deg: Longitude
    primary_kv: Annotated[float, msgspec.Meta(gt=0, le=500)] = 22.0
    secondary_v: Annotated[float, msgspec.Meta(gt=0, le=50_000)] = 400.0
    outages: Annotated[int, msgspec.Meta(ge=0, le=MAX_OUTAGES)] = 0
    seed: Seed = 1


AnySource = RecordSource | SolarSource | BoilerSource | ChillerSource | TransformerSource


class MeterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One meter. `reads` maps the model's quantities to the source's where the names differ; `offsets` gives the
    count that a counter's register shows when the source has counted nothing.
    """  # noqa: D205

    model: str
    unit: Annotated[int, msgspec.Meta(ge=1, le=247)]
    serial: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9-]{1,32}$")]
    reads: dict[Name, Name] = {}
    offsets: dict[Name, Offset] = {}
    rated_kw: Capacity = 6.0


class PlantSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plant file. Port 0 takes any free port."""

    name: Name
    source: AnySource
    meters: Annotated[list[MeterSettings], msgspec.Meta(min_length=1, max_length=MAX_METERS)]
    host: str = "127.0.0.1"
    port: Port = 0


class Meter:
    """One meter of a plant: the words of its registers at any time."""

    def __init__(self, settings_: MeterSettings, source: Source) -> None:
        """PlantInvalid where the model is unknown or the source lacks what it measures."""
        where = f"meter {settings_.serial} (unit {settings_.unit})"
        if settings_.model not in MODELS:
            raise PlantInvalid(f"{where}: model {settings_.model!r} is unknown; known: {', '.join(sorted(MODELS))}")
        model = MODELS[settings_.model]
        _check_names(where, "reads", settings_.reads, (*model.needs, *model.optional))
        _check_names(where, "offsets", settings_.offsets, model.counters)
        names = {name: name for name in model.needs} | settings_.reads
        missing = sorted(set(names.values()) - source.quantities)
        if missing:
            raise PlantInvalid(
                f"{where}: the source gives no {', '.join(missing)}; it gives {', '.join(sorted(source.quantities))};"
                " name one of these in `reads`"
            )
        self.unit = settings_.unit
        self.model = model
        self.plate = Nameplate(settings_.serial, round(settings_.rated_kw * 1000))
        optional = [name for name in model.optional if settings_.reads.get(name, name) in source.quantities]
        self.quantities = (*model.needs, *optional)
        self._source = source
        self._names = names
        self._offsets = settings_.offsets

    def readout(self, t_ms: int) -> Readout:
        """What the meter measures at `t_ms`."""
        return Readout(self._source, t_ms, self.plate, self._names, self._offsets)

    def registers(self, t_ms: int) -> dict[int, Words]:
        """Every register that exists, as {first address: words}, at `t_ms`."""
        return self.model.registers(self.readout(t_ms))


class Plant:
    """A plant as its file describes it."""

    def __init__(self, settings_: PlantSettings, source: Source) -> None:
        """PlantInvalid where two meters share a unit or one cannot be built."""
        self.name = settings_.name
        self.host = settings_.host
        self.port = settings_.port
        self.source = source
        units = [meter.unit for meter in settings_.meters]
        doubled = sorted({unit for unit in units if units.count(unit) > 1})
        if doubled:
            raise PlantInvalid(f"plant {self.name}: unit {doubled[0]} is given to two meters; give each its own")
        self.meters = [Meter(meter, source) for meter in settings_.meters]


def load_plant(path: Path, environ: Mapping[str, str]) -> Plant:
    """The plant that the TOML file `path` describes; BadConfiguration says what cannot be used."""
    chosen = settings.load(path, PlantSettings, ROOM, environ)
    return Plant(chosen, _source(path, chosen.source))


def _source(path: Path, chosen: AnySource) -> Source:
    if isinstance(chosen, RecordSource):
        mapping = settings.load(settings.beside(path, chosen.mapping), RecordMapping, ROOM, {})
        return Record(settings.beside(path, chosen.file), mapping)
    start_ms = ms_of(chosen.start)
    if isinstance(chosen, TransformerSource):
        return _transformer(chosen, start_ms)
    capacity_w = chosen.capacity_kw * 1000
    if isinstance(chosen, BoilerSource):
        return BoilerModel(chosen.seed, capacity_w=capacity_w, mean_outdoor_c=chosen.mean_outdoor_c, start_ms=start_ms)
    if isinstance(chosen, ChillerSource):
        return ChillerModel(
            chosen.seed,
            capacity_w=capacity_w,
            mean_outdoor_c=chosen.mean_outdoor_c,
            longitude_deg=chosen.longitude_deg,
            start_ms=start_ms,
        )
    return SolarModel(
        chosen.seed,
        capacity_w=capacity_w,
        latitude_deg=chosen.latitude_deg,
        longitude_deg=chosen.longitude_deg,
        start_ms=start_ms,
    )


def _transformer(chosen: TransformerSource, start_ms: int) -> TransformerModel:
    rating = Rating(
        capacity_va=chosen.capacity_kva * 1000,
        primary_v=chosen.primary_kv * 1000,
        secondary_v=chosen.secondary_v,
        no_load_w=chosen.no_load_loss_w,
        load_w=chosen.load_loss_w,
    )
    return TransformerModel(
        chosen.seed, rating=rating, outages=chosen.outages, longitude_deg=chosen.longitude_deg, start_ms=start_ms
    )


def ms_of(moment: datetime) -> int:
    """A moment with its zone as UTC milliseconds."""
    return round(moment.timestamp() * 1000)


def shown(t_ms: int) -> str:
    """A time for a message: ISO 8601, UTC."""
    return datetime.fromtimestamp(t_ms / 1000, UTC).isoformat()


def _check_names(where: str, field: str, given: Mapping[str, object], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise PlantInvalid(f"{where}: `{field}` names {name!r}, which the model has not; it has {', '.join(known)}")
