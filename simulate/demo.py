"""`hakari demo`: four plants, a broker and every room as a process of its own, until a month's total is re-derived.

What is printed at the end was asked of the API and of `hakari verify`; nothing in this module computes it.
"""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from hakari.cli.output import table
from hakari.errors import DataProblem
from simulate.driver import Progress
from simulate.layout import Layout, MeterPlace, PlantPlace, approve_epochs, argv, call, commission, free_ports, prepare
from simulate.processes import Processes
from simulate.run import run_lockstep
from simulate.scenario import load_scenario

MONTH = "2016-07"
START = "2016-07-01T00:00:00-07:00"
END = "2016-08-01T00:00:00-07:00"
STEP_S = 900
TICKS = 31 * 96 + 1
BATCH_SAMPLES = 4
HTTP_TIMEOUT_S = 30.0
PLACES, TABLE_PLACES = 6, 4
DATA = resources.files("simulate") / "data"
METERS = {
    "solar": (
        MeterPlace("inverter", "sunspec-inverter-103", 1, "INV-0001"),
        MeterPlace("export", "schneider-iem3155", 2, "IEM-0001"),
    ),
    "boiler": (
        MeterPlace("heat", "spirax-sarco-tva", 1, "TVA-0001"),
        MeterPlace("aux", "abb-b23", 2, "B23-0001"),
    ),
    "chiller": (
        MeterPlace("power", "carlo-gavazzi-em340", 1, "EM340-0001"),
        MeterPlace("controller", "carrier-23xrv", 2, "23XRV-0001"),
    ),
    "transformer": (
        MeterPlace("primary", "janitza-umg-96rm-e", 1, "UMG-0001"),
        MeterPlace("secondary", "abb-b23", 2, "B23-0002"),
    ),
}


class TotalsDisagree(DataProblem):
    """The API and the offline verification do not tell the same."""


class Outcome(NamedTuple):
    """One plant's month as the API tells it, and its pack's verdict."""

    plant: str
    period: Mapping[str, Any]
    pack: Path
    verdict: Mapping[str, Any]


class Demo(NamedTuple):
    """What a demo came to."""

    outcomes: list[Outcome]
    address: str
    token: str
    owner_key: str


def run(folder: Path, processes: Processes, say: Callable[[str], None], progress: Callable[[Progress], None]) -> Demo:
    """Sets the chain up in `folder`, drives the month, computes, serves and verifies it. Processes stay up."""
    say("keys, roster and a settings file a room")
    layout = set_up(folder)
    say("broker, ingest and four edges start, the meters are commissioned; a month passes in quarter hours")
    drive(layout, processes, progress)
    say("the owner approves what the edges opened; calc computes; packs are written")
    compute(layout)
    say("the API serves; every pack is verified offline")
    return present(layout, processes)


def set_up(folder: Path) -> Layout:
    """Files of four plants: the recorded solar system, and seeded a boiler house, a chiller and a transformer."""
    places = []
    for name, port in zip(METERS, free_ports(len(METERS)), strict=True):
        plant_file = folder / f"{name}.plant.toml"
        project_file = folder / f"{name}.project.toml"
        places.append(PlantPlace(name, plant_file, name, "e1", METERS[name], project_file, port))
    layout = prepare(folder, places, interval_s=STEP_S, batch_samples=BATCH_SAMPLES)
    for place in places:
        text = (DATA / f"{place.name}.toml").read_text(encoding="utf-8")
        place.plant_file.write_text(re.sub(r"(?m)^port = \d+$", f"port = {place.modbus_port}", text), encoding="utf-8")
        project = DATA / f"{place.name}.project.toml"
        (folder / f"{place.name}.project.toml").write_bytes(project.read_bytes())
    for name in ("solar.csv", "solar.map.toml"):
        (folder / name).write_bytes((DATA / name).read_bytes())
    edges = ", ".join(f'"{place.edge_id}"' for place in places)
    plants = ", ".join(f'"{place.plant_file.name}"' for place in places)
    (folder / "scenario.toml").write_text(
        f"plants = [{plants}]\nstart = {START}\nend = {END}\nstep_s = {STEP_S}\n\n"
        f'[lockstep]\nedges = [{edges}]\nwatchers = ["ingest"]\nport = {layout.driver_port}\n',
        encoding="utf-8",
    )
    return layout


def drive(layout: Layout, processes: Processes, progress: Callable[[Progress], None]) -> None:
    """Starts broker and ingest, commissions the meters, starts the edges, and drives plant time until all is stored."""
    processes.start("broker", argv("simulate", "broker", "--config", layout.broker_config))
    processes.wait_listening("broker", "127.0.0.1", layout.broker_port)
    processes.start("ingest", argv("ingest", "run", "--config", layout.ingest_config))
    scenario = load_scenario(layout.folder / "scenario.toml", {})

    def start_edges() -> None:
        commission(layout, scenario.times_ms[0])
        for place in layout.plants:
            processes.start(place.edge_id, argv("edge", "run", layout.edge_config(place)))

    def watched(done: Progress) -> None:
        processes.check()
        progress(done)

    served = run_lockstep(scenario, hold=False, say=lambda _: None, progress=watched, meanwhile=start_edges)
    if not asyncio.run(served):
        raise KeyboardInterrupt


def compute(layout: Layout) -> None:
    """Approves the epochs, registers the projects, computes their periods and writes a pack each."""
    approve_epochs(layout)
    for place in layout.plants:
        if place.project_file is not None:
            call("project", "add", place.project_file, "--config", layout.calc_config)
    call("calc", "run", "--once", "--config", layout.calc_config)
    for place in layout.plants:
        period = period_id(place)
        call("pack", "write", "--period", period, "--out", pack_of(layout, place), "--config", layout.calc_config)


def present(layout: Layout, processes: Processes) -> Demo:
    """Starts the API, asks it for each month, and verifies each pack; TotalsDisagree when the two differ."""
    processes.start("api", argv("api", "run", "--config", layout.api_config))
    processes.wait_listening("api", "127.0.0.1", layout.api_port)
    token = call(
        "user", "token", "create", "--role", "verifier", "--project", "*", "--days", "1", "--config", layout.api_config
    )["token"]
    address = f"http://127.0.0.1:{layout.api_port}"
    outcomes = []
    for place in layout.plants:
        told = ask(f"{address}/v1/periods/{period_id(place)}", token)
        pack = pack_of(layout, place)
        verdict = call("verify", pack, "--owner-key", layout.owner_key, allow=(0, 5))
        if verdict["reductions_tco2"] != told["totals"]["reductions_tco2"]:
            raise TotalsDisagree(
                f"{place.name}: the API tells {told['totals']['reductions_tco2']} tCO2,"
                f" the pack gives {verdict['reductions_tco2']}; run: hakari log fsck"
            )
        outcomes.append(Outcome(place.name, told, pack, verdict))
    return Demo(outcomes, address, token, layout.owner_key)


def ask(url: str, token: str) -> Any:  # noqa: ANN401 - JSON
    """GET of one resource as a verifier."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as answer:  # noqa: S310
        return json.load(answer)


def period_id(place: PlantPlace) -> str:
    """The month's period of a plant's project."""
    return f"demo-{place.name}-{MONTH}"


def pack_of(layout: Layout, place: PlantPlace) -> Path:
    """Where the month's pack of a plant is; the API serves this folder."""
    return layout.packs / f"{period_id(place)}.hakari"


def shown(demo: Demo, *, stays: bool) -> str:
    """The demo's end for a person; with `stays` also how to look around in what stays up."""
    head = ("plant", "methodology*", "measured", "complete", "reference", "project", "reduced", "whole")
    lines = [
        "",
        table(head, [row for outcome in demo.outcomes for row in _rows(outcome)], right=(3, 4, 5, 6, 7)),
        "  reference, project and reduced emissions in tCO2; whole: the reductions, rounded down at the end",
        *_notices([outcome.period for outcome in demo.outcomes]),
        "",
        *(
            f"  pack     {outcome.pack if stays else outcome.pack.name}\n           {verdict_of(outcome.verdict)}"
            for outcome in demo.outcomes
        ),
    ]
    if stays:
        lines += [
            "",
            f"  API      {demo.address}/docs",
            f"  token    {demo.token}",
            f'  try      curl -H "Authorization: Bearer {demo.token}" {demo.address}/v1/projects',
            f"  verify   hakari verify {demo.outcomes[0].pack} --owner-key {demo.owner_key}",
        ]
    return "\n".join(lines)


def as_json(demo: Demo) -> dict[str, object]:
    """The demo's end for a program."""
    return {
        "address": demo.address,
        "token": demo.token,
        "owner_key": demo.owner_key,
        "plants": [
            {"plant": outcome.plant, "pack": str(outcome.pack), "period": outcome.period, "verdict": outcome.verdict}
            for outcome in demo.outcomes
        ],
    }


def _rows(outcome: Outcome) -> list[tuple[object, ...]]:
    """A plant's row, and one more for each further quantity."""
    period = outcome.period
    methodology, totals = period["methodology"], period["totals"]
    first, *more = _measured(period)
    row = (
        outcome.plant,
        f"{methodology['code']} {methodology['version']}",
        first,
        f"{Decimal(period['completeness']) * 100:.1f} %",
        _short(totals["reference_tco2"], TABLE_PLACES),
        _short(totals["project_tco2"], TABLE_PLACES),
        _short(totals["reductions_tco2"], TABLE_PLACES),
        "refused" if totals["reductions_whole_tco2"] is None else totals["reductions_whole_tco2"],
    )
    return [row, *(("", "", measured, "", "", "", "", "") for measured in more)]


def _measured(period: Mapping[str, Any]) -> list[str]:
    """The monitored quantities as the API tells them; a demo's month lies within one vintage."""
    quantities = period["vintages"][0]["quantities"]
    units = {one["parameter"]: one["unit"] for one in period["inputs"]}
    found = {name.partition("[")[0]: value for name, value in quantities.items()}
    return [f"{name} {_short(found.get(name), TABLE_PLACES)} {unit}" for name, unit in units.items()]


def _notices(periods: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the star of a methodology means: its standing, that of the factors beside it, and what follows."""
    factors: dict[tuple[str, ...], set[str]] = {}
    for period in periods:
        credit = "" if period["credits"] else "; provisional, credits nothing"
        key = (period["methodology"]["standing"], credit, f"{period['notice']} / {period['notice_ja']}")
        factors.setdefault(key, set()).update(one["standing"].upper() for one in _factors(period))
    return [
        f"  * {standing}, factors {' and '.join(sorted(found))}{credit}\n    {notice}"
        for (standing, credit, notice), found in sorted(factors.items())
    ]


def _factors(period: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every number that the formula took beside what was measured."""
    yield from period["parameters"]
    for one in period["equipment"]:
        yield from (*one["parameters"], *one["class_values"])


def verdict_of(verdict: Mapping[str, Any]) -> str:
    """What verifying a pack came to, in one line."""
    if not verdict["ok"]:
        return "NOT VERIFIED: " + "; ".join(f"{one['entry']}: {one['text']}" for one in verdict["problems"])
    return (
        f"verified offline from {verdict['leaves']} signed leaves:"
        f" {_short(verdict['reductions_tco2'])} tCO2, {verdict['meaning']}"
    )


def _short(value: str | None, places: int = PLACES) -> str:
    """A decimal string cut, not rounded, for the eye; the full one is in the API and the pack."""
    if value is None:
        return "refused"
    whole, _, fraction = value.partition(".")
    return f"{whole}.{fraction[:places]}" if fraction else whole
