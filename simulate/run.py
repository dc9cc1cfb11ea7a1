"""What the commands of this room run: broker, plants in wall-clock time, and a scenario in lockstep."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hakari import settings
from simulate import broker
from simulate.driver import Driver, Progress
from simulate.faults import NEVER_MS, Fault
from simulate.modbus import PlantServer, TimeMs
from simulate.plant import ROOM, Plant, load_plant, shown
from simulate.scenario import Scenario, check_known
from simulate.schedule import NO_FAULTS, Faults

LONG_MS = 365 * 86_400_000  # to count a plant over more than this takes a second and more

Addresses = dict[str, str]
Say = Callable[[Addresses], None]


async def run_broker(config: Path, environ: Mapping[str, str]) -> None:
    """Serves MQTT until SIGTERM or SIGINT."""
    chosen = settings.load(config, broker.BrokerSettings, ROOM, environ)
    await broker.serve(chosen, settings.beside(config, chosen.users_file), stop_event())


async def run_plants(
    paths: list[Path],
    at_ms: int | None,
    environ: Mapping[str, str],
    say: Say,
    faults: Sequence[Fault] = (),
    say_faults: Callable[[list[str]], None] = lambda _: None,
    say_waiting: Callable[[str], None] = lambda _: None,
) -> None:
    """Serves the plants' meters until SIGTERM or SIGINT; plant time is the wall clock, or runs on from `at_ms`."""
    shift_ms = 0 if at_ms is None else at_ms - _wall_ms()
    plants = [load_plant(path, environ) for path in paths]
    for plant in plants:
        check_known(plant, _wall_ms() + shift_ms, _wall_ms() + shift_ms)
    schedule = Faults(faults, plants)
    schedule.check_within(_wall_ms() + shift_ms, NEVER_MS)
    for plant in plants:
        if _wall_ms() + shift_ms - plant.source.span.start_ms > LONG_MS:
            say_waiting(f"plant {plant.name} counts from {shown(plant.source.span.start_ms)} on; this takes seconds")
    async with serving(plants, lambda: _wall_ms() + shift_ms, schedule) as addresses:
        say(addresses)
        say_faults(schedule.lines)
        await stop_event().wait()


async def run_lockstep(
    scenario: Scenario,
    *,
    hold: bool,
    say: Say,
    progress: Callable[[Progress], None],
    meanwhile: Callable[[], None] = lambda: None,
) -> bool:
    """Drives the scenario to its end, and with `hold` serves on until SIGTERM or SIGINT.

    Returns whether the end was reached; a signal before it ends the run early. `meanwhile` is called in a thread as
    soon as meters and driver are served; the first tick waits for the edges, which it may start.

    Errors: driver.NoAnswer when an edge or a watcher does not answer within the wait limit.
    """
    now_ms = [scenario.times_ms[0]]
    stop = stop_event()
    lock = scenario.lockstep
    async with (
        serving(scenario.plants, lambda: now_ms[0], scenario.faults) as addresses,
        Driver(
            lock.edges, watchers=lock.watchers, host=lock.host, port=lock.port, wait_limit_s=lock.wait_limit_s
        ) as driver,
    ):
        say(addresses | {"lockstep": f"{driver.host}:{driver.port}"})
        run = asyncio.create_task(driver.run(scenario.times_ms, lambda t_ms: now_ms.__setitem__(0, t_ms), progress))
        stopping = asyncio.create_task(stop.wait())
        beside = asyncio.create_task(asyncio.to_thread(meanwhile))
        await asyncio.wait({run, stopping, beside}, return_when=asyncio.FIRST_COMPLETED)
        if beside.done():
            await beside
            await asyncio.wait({run, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            await run
            if hold:
                await stopping
        finished = run.done()
        for task in (run, stopping, beside):
            task.cancel()
        await asyncio.gather(run, stopping, beside, return_exceptions=True)
    return finished


@asynccontextmanager
async def serving(plants: list[Plant], time_ms: TimeMs, faults: Faults = NO_FAULTS) -> AsyncIterator[Addresses]:
    """Every plant's meters served at `time_ms()`, with their faults; gives {plant: host:port}."""
    servers: list[PlantServer] = []
    addresses: Addresses = {}
    try:
        prepared = [PlantServer(plant, time_ms, faults) for plant in plants]
        for server in prepared:  # all of them before one listens: it holds up the loop
            server.prepare()
        for plant, server in zip(plants, prepared, strict=True):
            await server.start()
            servers.append(server)
            addresses[plant.name] = f"{plant.host}:{server.port}"
        yield addresses
    finally:
        for server in servers:
            await server.stop()


def stop_event() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set in the running loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
