"""The edge's one settings file, and the metering configuration that it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from edge.library import SUFFIX
from edge.library import profile as profile_of
from hakari import names, settings
from hakari.errors import BadConfiguration
from hakari.lockstep import ClockTable
from hakari.log.note import NoteInvalid, VerifierKey
from hakari.mqtt import BrokerSettings
from hakari.registers.check import expected_raw
from hakari.registers.profile import MAX_EVERY, MEASURED, Point, Profile
from hakari.smallfile import read_bytes
from hakari.wire.configuration import Meter, MeteringConfiguration

DAY_S = 86_400
MAX_LAG_S = 60
MAX_METERS = 500
CONFIGURATION_VERSION = 1
SERIAL_POINT = "serial"
# What says which meter it is, where it is and how it is read: from afar none of it changes.
IDENTITY = ("bus", "unit", "serial", "profile", "identity_proof")
FROM_AFAR = "added from afar and not commissioned since; hakari edge commission settles it"

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class SettingsInvalid(BadConfiguration):
    """The edge's settings contradict themselves or name what is not there."""


class EdgeTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[edge]`: who this edge is and how it samples. The edge id is `{site}-{name}`.

    With `remote_configuration` it takes meters and rates that a configurer of the roster has signed, from the broker.
    """

    namespace: Text
    site: Text
    name: Text
    key_file: Text
    owner_key: Text
    roster_file: Text
    spool: Text
    interval_s: int
    batch_samples: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    ring_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 400
    max_lag_s: Annotated[int, msgspec.Meta(ge=1, le=DAY_S)] = MAX_LAG_S
    min_free_mb: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 64
    remote_configuration: bool = False


class BusTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[bus]]`: one line of meters, read one after the other, which no other program reads at the same time.

    `kind` "tcp" and "rtu-over-tcp" (a transparent serial server) need `host`, "rtu" the serial `device`. An answer
    is waited for `timeout_s`; on a serial line one may still come until `late_s` after its request.
    """

    id: str
    kind: Literal["tcp", "rtu", "rtu-over-tcp"] = "tcp"
    host: Annotated[str, msgspec.Meta(max_length=500)] = ""
    port: Port = 502
    device: Annotated[str, msgspec.Meta(max_length=500)] = ""
    baud_rate: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60.0)] = 1.0
    late_s: Annotated[float, msgspec.Meta(gt=0, le=120.0)] = 5.0
    adapter: Literal["hakari", "pymodbus"] = "hakari"


class MeterTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[meter]]`: a meter on a bus; `profile` is a bundled name or a .toml file, `serial` the nameplate's.

    `every` reads points in every n-th slot only: `every = { voltage_l1 = 15 }`. `identity_proof` says how a meter
    that tells no serial is known: the number of its seal, a photograph's file.
    """

    id: str
    bus: str
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)]
    profile: Text
    serial: Annotated[str, msgspec.Meta(max_length=64)] = ""
    every: dict[str, Annotated[int, msgspec.Meta(ge=1, le=MAX_EVERY)]] = {}
    identity_proof: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything an edge is told. Paths stay as written: resolve with `hakari.settings.beside`."""

    edge: EdgeTable
    broker: BrokerSettings
    buses: list[BusTable] = msgspec.field(name="bus")
    meters: list[MeterTable] = msgspec.field(name="meter")
    clock: ClockTable = ClockTable()


class LedFromAfar(Settings, frozen=True, forbid_unknown_fields=True):
    """Settings with meters and rates from afar; `added` are the meters that the edge's own settings do not name so."""

    added: frozenset[str] = frozenset()


class RemoteEdgeTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[edge]` of a configuration from afar: the rates, those left out staying as the edge's own settings have them."""

    interval_s: int | None = None
    batch_samples: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    max_lag_s: Annotated[int, msgspec.Meta(ge=1, le=DAY_S)] | None = None


class RemoteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a configurer may sign: meters on lines that the edge's own settings have, and rates. No path, no key."""

    meters: list[MeterTable] = msgspec.field(name="meter")
    edge: RemoteEdgeTable = RemoteEdgeTable()


def edge_id_of(told: Settings) -> str:
    """`{site}-{name}`: also the MQTT client id, user name and certificate name."""
    return f"{told.edge.site}-{told.edge.name}"


def remote_file(path: Path) -> Path:
    """Where the edge with the settings file `path` keeps the meters and rates that were signed for it."""
    return path.with_suffix(".remote.toml")


def own_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """What stands in `path` itself, whatever was signed for the edge from afar."""
    return settings.load(path, Settings, "edge", environ)


def read_settings(path: Path, environ: Mapping[str, str], remote: str | None = None) -> Settings:
    """The settings in `path`, with the meters and rates in `remote`, else in its remote file, if it takes any.

    They may contradict themselves (`problems`).
    """
    loaded = own_settings(path, environ)
    if not loaded.edge.remote_configuration:
        return loaded
    where = "the remote configuration" if remote is not None else str(remote_file(path))
    if remote is None:
        try:
            remote = read_bytes(remote_file(path), settings.MAX_FILE_BYTES).decode()
        except FileNotFoundError:
            return loaded
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"{where} cannot be read: {error}; put its .before back, or remove it") from error
    return with_remote(loaded, settings.convert(settings.parse(remote, where), RemoteSettings, where), where)


def with_remote(told: Settings, remote: RemoteSettings, where: str) -> Settings:
    """`told` with the meters and rates of `remote`; SettingsInvalid for a profile's file that `told` does not name."""
    own = {meter.profile for meter in told.meters}
    for meter in remote.meters:
        if meter.profile.endswith(SUFFIX) and meter.profile not in own:
            raise SettingsInvalid(
                f"{where}: meter {meter.id} names the file {meter.profile!r}; from afar only bundled profiles and files"
                " that the edge's own settings name can be chosen"
            )
    rates = {key: value for key, value in msgspec.structs.asdict(remote.edge).items() if value is not None}
    as_told = {meter.id: _identity(meter) for meter in told.meters}
    parts: dict[str, Any] = {
        **msgspec.structs.asdict(told), "edge": msgspec.structs.replace(told.edge, **rates), "meters": remote.meters
    }  # fmt: skip
    return LedFromAfar(
        **parts, added=frozenset(meter.id for meter in remote.meters if as_told.get(meter.id) != _identity(meter))
    )


def _identity(meter: MeterTable) -> tuple[object, ...]:
    return tuple(getattr(meter, field) for field in IDENTITY)


def load_settings(path: Path, environ: Mapping[str, str], remote: str | None = None) -> Settings:
    """The settings in `path`, free of contradictions; files that they name need not exist yet (`check_files`).

    `remote` takes the place of what stands in its remote file.
    """
    loaded = read_settings(path, environ, remote)
    for problem in problems(loaded):
        raise SettingsInvalid(f"{path}: {problem}")
    return loaded


def problems(told: Settings) -> Iterator[str]:
    """What contradicts itself in `told`, a sentence each."""
    yield from _identity_problems(told)
    interval_s = told.edge.interval_s
    if interval_s < 1 or DAY_S % interval_s:
        yield f"[edge].interval_s = {interval_s} must be 1 or more and divide a day (86400 s) into equal slots"
    if ":memory:" in told.edge.spool or told.edge.spool.startswith("file:"):
        yield f"[edge].spool = {told.edge.spool!r} would not outlive a restart; name a file on a disk"
    yield from _address_problems(told)
    for key, value in _paths(told):
        if "-----BEGIN" in value or "\n" in value:
            yield f"{key} holds a secret instead of a path; put the secret into a file of mode 0600 and name that file"
    yield from _bus_problems(told)
    yield from _meter_problems(told)


def _address_problems(told: Settings) -> Iterator[str]:
    if problem := told.clock.problem():
        yield problem
    try:
        names.check_host(told.broker.host, "[broker].host")
        for bus in told.buses:
            if bus.kind != "rtu":
                names.check_host(bus.host, f"bus {bus.id}: host")
    except names.BadName as error:
        yield str(error)


def _identity_problems(told: Settings) -> Iterator[str]:
    if "-" in told.edge.name:
        yield f"[edge].name = {told.edge.name!r} has a hyphen; only the site may have one"
    try:
        names.check_edge_id(edge_id_of(told))
        names.check_namespace(told.edge.namespace)
        VerifierKey.parse(told.edge.owner_key)
    except names.BadName as error:
        yield f"[edge]: {error}"
    except NoteInvalid as error:
        yield f"[edge].owner_key is no verifier key (name+id+key, as `hakari keys owner` prints it): {error}"


def _bus_problems(told: Settings) -> Iterator[str]:
    yield from _names(told.buses, "bus")
    taken: dict[str, str] = {}
    for bus in told.buses:
        yield from _line_problems(bus)
        other = taken.setdefault(place_of(bus).lower(), bus.id)
        if other != bus.id:
            yield f"buses {other} and {bus.id} are both {place_of(bus)}; put their meters on one bus"


def place_of(bus: BusTable) -> str:
    """Where a bus is, for people: the serial device, or host:port."""
    return bus.device if bus.kind == "rtu" else f"{bus.host}:{bus.port}"


def _line_problems(bus: BusTable) -> Iterator[str]:
    needed, excluded = ("device", "host") if bus.kind == "rtu" else ("host", "device")
    if not getattr(bus, needed):
        yield f"bus {bus.id} is of kind {bus.kind} and has no {needed}; give it"
    if getattr(bus, excluded):
        yield f"bus {bus.id} is of kind {bus.kind}, which has no {excluded}; leave {excluded} out"
    if bus.adapter == "pymodbus" and bus.kind != "tcp":
        yield f"bus {bus.id} has adapter pymodbus, which is for kind tcp only; leave adapter out"


def _meter_problems(told: Settings) -> Iterator[str]:
    if not 1 <= len(told.meters) <= MAX_METERS:
        yield f"there are {len(told.meters)} [[meter]] entries; give 1 to {MAX_METERS}"
    yield from _names(told.meters, "meter")
    known = {bus.id for bus in told.buses}
    taken: dict[tuple[str, int], str] = {}
    for meter in told.meters:
        if meter.bus not in known:
            yield f"meter {meter.id} is on bus {meter.bus!r}, which is no [[bus]]; known are {', '.join(sorted(known))}"
        other = taken.setdefault((meter.bus, meter.unit), meter.id)
        if other != meter.id:
            yield f"meters {other} and {meter.id} are both unit {meter.unit} on bus {meter.bus}; correct one"
    plates: dict[tuple[str, str], str] = {}
    for meter in told.meters:
        other = plates.setdefault((meter.serial, meter.profile), meter.id) if meter.serial else meter.id
        if other != meter.id:
            yield f"meters {other} and {meter.id} both have serial {meter.serial!r}; each nameplate has its own"


def _names(entries: Iterable[BusTable] | Iterable[MeterTable], what: str) -> Iterator[str]:
    seen: set[str] = set()
    for entry in entries:
        try:
            names.check_local(entry.id, f"{what} id")
        except names.BadName as error:
            yield str(error)
        if entry.id in seen:
            yield f"{what} id {entry.id!r} is given twice; give each {what} its own"
        seen.add(entry.id)


def _paths(told: Settings) -> Iterator[tuple[str, str]]:
    """Key and value of every file that must exist."""
    yield "[edge].key_file", told.edge.key_file
    yield "[edge].roster_file", told.edge.roster_file
    yield "[broker].password_file", told.broker.password_file
    yield "[broker].ca_file", told.broker.ca_file
    yield "[broker].certificate_file", told.broker.certificate_file
    yield "[broker].key_file", told.broker.key_file


def check_files(told: Settings, folder: Path) -> None:
    """Returns when every file named in `told` is there (relative to `folder`), else SettingsInvalid names the first."""
    for key, value in _paths(told):
        if value and not settings.within(folder, value).is_file():
            raise SettingsInvalid(f"{key} = {value!r} is not a file beside {folder}; create it or correct the path")


def metering_configuration(told: Settings, folder: Path) -> MeteringConfiguration:
    """What is logged: meters with their profiles resolved, the profile of each one held once.

    A point named `serial` then expects the meter's serial, so that an exchanged meter is noticed. A meter that was
    added from afar is suspended, until a commissioning settles it (`with_notes`).
    """
    library: dict[tuple[str, str], Profile] = {}
    meters: list[Meter] = []
    places = {bus.id: place_of(bus) for bus in told.buses}
    added = told.added if isinstance(told, LedFromAfar) else frozenset[str]()
    for meter in told.meters:
        found = library.get((meter.profile, "")) or profile_of(meter.profile, folder)
        library[meter.profile, ""] = found
        resolved = library.setdefault((meter.profile, meter.serial), with_serial(found, meter.serial))
        meters.append(
            Meter(
                id=meter.id, bus=meter.bus, unit=meter.unit, serial=meter.serial,
                profile=with_rates(resolved, meter), identity_proof=meter.identity_proof,
                place=places.get(meter.bus, ""), suspended=FROM_AFAR if meter.id in added else "",
            )
        )  # fmt: skip
    return MeteringConfiguration(
        v=CONFIGURATION_VERSION,
        edge=edge_id_of(told),
        interval_ms=told.edge.interval_s * 1000,
        max_lag_ms=told.edge.max_lag_s * 1000,
        meters=meters,
    )


def with_serial(found: Profile, serial: str) -> Profile:
    """`found` expecting `serial` where the meter tells it; unchanged when no serial is given.

    Where the meter tells a number, SettingsInvalid for a serial that is none, or is not written as it is told.
    """
    if not serial:
        return found
    points = [
        _expecting(point, serial, found.id) if point.name == SERIAL_POINT and point.expect is None else point
        for point in found.points
    ]
    return msgspec.structs.replace(found, points=points)


def _expecting(point: Point, serial: str, profile: str) -> Point:
    expecting = msgspec.structs.replace(point, expect=serial, every=1)
    if point.type == "string":
        return expecting
    digits = serial.isascii() and serial.isdecimal() and (serial == "0" or not serial.startswith("0"))
    if not digits or expected_raw(expecting) is None:
        raise SettingsInvalid(
            f"serial = {serial!r} cannot be what the meter tells: profile {profile} reads a whole number there"
            f" ({point.type}, register {point.address}); write it in digits without leading zeros, or leave serial out"
            " and write identity_proof"
        )
    return expecting


def with_rates(found: Profile, meter: MeterTable) -> Profile:
    """`found` with the rates that `meter` gives its points; SettingsInvalid for a point that it has not."""
    if not meter.every:
        return found
    known = {point.name for point in found.points if point.kind in MEASURED}
    for name in meter.every:
        if name not in known:
            raise SettingsInvalid(
                f"meter {meter.id}: every names {name!r}, which profile {found.id} does not measure;"
                f" it measures {', '.join(sorted(known))}"
            )
    points = [msgspec.structs.replace(point, every=meter.every.get(point.name, point.every)) for point in found.points]
    return msgspec.structs.replace(found, points=points)
