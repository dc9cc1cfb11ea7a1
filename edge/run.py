"""The edge process: one supervised loop of sampling, sending and stopping cleanly. Names the adapters."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.asked import answer, taken_from_afar
from edge.buffer import FULL, MB, Buffer, free_bytes
from edge.certificate import CertificateWatch
from edge.commission.examination import Identities
from edge.commission.identity import Finding, identity_key, text_of_note
from edge.courier import Courier
from edge.log import EdgeLog
from edge.modbus.bus import Bus
from edge.modbus.buses import open_bus
from edge.modbus.waits import Waits, waits_of
from edge.outbox import Outbox
from edge.reads.sampler import following
from edge.reads.sampling import Sampling, timeouts_of
from edge.reload import Reloaded, changed, configuration_in_force, keep_spoilt, reread
from edge.requests import Requests
from edge.settings import Settings, edge_id_of, load_settings, metering_configuration
from edge.signals import on_loop, on_signal, reload_on
from edge.spool import LINK, LINK_SINCE, Spool
from edge.telling import Telling
from edge.timing import Timing, last_slot_key, was_taken
from edge.trust import trusted
from hakari import __version__, logs
from hakari.clock import UNSYNCHRONISED, PlantClock, PlantTime, SystemClock
from hakari.crash import crash_point
from hakari.errors import HakariError
from hakari.lockstep import Answer, Hello, LockstepClient, LockstepClock, Tick, host_and_port
from hakari.mqtt import Link
from hakari.settings import within
from hakari.wire.configuration import MeteringConfiguration
from hakari.wire.leaf import Event

DRAIN_S = 10.0
PRUNE_EVERY_S = 3600.0
WATCH_S = 1.0
DAY_MS = 86_400_000

_log = logging.getLogger("hakari.edge")


class Edge:
    """Everything that one edge process holds."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self._base = metering_configuration(settings, folder)
        self._reloaded: Reloaded | None = None
        self.edge_id = edge_id_of(settings)
        key, roster = trusted(settings, folder)
        self.machine: PlantClock = LockstepClock() if settings.clock.source == "lockstep" else SystemClock()
        spool = within(folder, settings.edge.spool)
        self.spool = Spool(str(spool))
        self.timing = Timing(self.machine, self.spool, roster, self.edge_id)
        self.clock: PlantClock = self.timing.clock
        was_full = bool(self.spool.number(FULL))
        self.buffer = Buffer(settings.edge.min_free_mb * MB, lambda: free_bytes(spool.parent), full=was_full)
        self.identities = Identities(self.spool.note)
        self._spoilt = keep_spoilt(self.spool, [meter.id for meter in self._base.meters])
        self.identities.configure(self._base)
        self._note()
        namespace = settings.edge.namespace
        software, first_epoch = f"hakari {__version__}", self.timing.first_epoch
        self.log = EdgeLog(self.spool, key, namespace, self.edge_id, self.timing.boot, software, first_epoch)
        loop = asyncio.get_running_loop()
        self.outbox = Outbox(
            settings.broker,
            folder,
            self.edge_id,
            lambda connected: on_loop(loop, lambda: self.courier.changed(connected)),
            lambda mark: on_loop(loop, lambda: self.courier.mark(mark)),
            (lambda note: on_loop(loop, lambda: self.requests.hear(note))) if roster.configurers else None,
        )
        self.requests = Requests(self.log, roster.configurer_keys(), self.clock)
        self.courier = Courier(self.log, roster, self.clock, self.outbox, witness=self.timing.clock)
        self.buses: dict[str, Bus] = {bus.id: open_bus(bus, _waits(self._base, bus.id)) for bus in settings.buses}
        self.sampling = self._sampling()
        self.telling = Telling()
        file = settings.broker.certificate_file
        self._certificate = CertificateWatch(within(folder, file) if file else None)
        self._pruned_s = 0.0

    def _note(self) -> None:
        """Puts settings and the spool's notes together: what is read, and what is logged of it."""
        self._unexamined = self.identities.unexamined
        self.configuration, self.text = configuration_in_force(self._base, self.spool.note, self._unexamined)
        if keep_spoilt(self.spool, [meter.id for meter in self._base.meters]):  # a note was found spoilt just now
            self.configuration, self.text = configuration_in_force(self._base, self.spool.note, self._unexamined)

    def _sampling(self) -> Sampling:
        timeouts_s = timeouts_of(self.settings.buses)
        return Sampling(self.configuration, self.buses, self.clock, self.spool.note, timeouts_s)

    async def take(self, slot_ms: int) -> None:
        """Reads every meter for `slot_ms` and commits the sample; a slot is sampled once, even over a restart."""
        self._tell_clock()
        if self._was_taken(slot_ms) or self._has_no_room():
            return
        self._reconfigure()
        began, began_s = self.clock.now(), time.monotonic()
        sample = await self.sampling.sample(slot_ms)
        self.telling.pace(began, self.clock.now(), self.settings.edge.interval_s, self.settings.edge.max_lag_s)
        self.telling.sample(sample, self.configuration)
        self._identified(self.identities.in_sample(sample))
        with self.spool.transaction():
            self._keep_lessons()
            now = self.clock.now()
            self.log.add_sample(sample, now, self.settings.edge.batch_samples)
            self.spool.put_number(last_slot_key(now), slot_ms)
            self.timing.keep(sample.mono_ms)
        crash_point("edge.committed")
        interval_s, spent_s = self.settings.edge.interval_s, time.monotonic() - began_s
        self._identified(await self.identities.after_sample(sample, self.buses, self.clock, interval_s, spent_s))
        self.courier.wake.set()
        self._prune()

    def _tell_clock(self) -> None:
        """Logs what happened to the clock, and when the certificate ends."""
        for event in self.timing.clock.events():
            _log.warning("%s: %s", event.kind, event.data)
            self.log.add_event(event, self.clock.now())
        if (ending := self._certificate.event(self.clock.now())) is not None:
            self.log.add_event(ending, self.clock.now())

    def _was_taken(self, slot_ms: int) -> bool:
        """Whether the slot has its sample, as after a second that came twice; a step back of the clock is logged."""
        with self.spool.transaction():
            taken, event = was_taken(slot_ms, self.spool, self.clock.now())
            if event is not None:
                _log.warning("%s: %s", event.kind, event.data)
                self.log.add_event(event, self.clock.now())
        return taken

    def _has_no_room(self) -> bool:
        """Whether the disk is down to its reserve: then nothing is read, and nothing deleted."""
        now = self.clock.now()
        event = self.buffer.look(now.wall_ms)
        if event is not None:
            _log.warning("%s: %s bytes are free, [edge].min_free_mb keeps %s", event.kind, *event.data.values())
            with self.spool.transaction():
                self.spool.put_number(FULL, int(self.buffer.full))
                self.log.add_event(event, now)
            self.courier.wake.set()
        return self.buffer.full

    def _identified(self, findings: Sequence[Finding]) -> None:
        """Keeps what is new of the meters' identities; another meter's readings stop to count from the next leaf on."""
        if not findings and self._unexamined == self.identities.unexamined:
            return
        with self.spool.transaction():
            self.log.reconfigure(*self._kept(findings))

    def _kept(self, findings: Sequence[Finding]) -> tuple[str, PlantTime, list[Event]]:
        for finding in findings:
            if finding.known is not None:
                self.spool.put_note(identity_key(finding.meter), text_of_note(finding.known))
        self._note()
        self.telling.suspensions(self.configuration)
        return self.text, self.clock.now(), [event for finding in findings for event in finding.events]

    async def begin(self) -> None:
        """Opens the log, once the meters that no sample would prove were asked who they are."""
        found = await self.identities.before_first(self.buses, self.clock, self.settings.edge.interval_s)
        with self.spool.transaction():
            text, now, events = self._kept(found)
            lost = [Event("note-lost", now.wall_ms, {"key": identity_key(one)}) for one in self._spoilt]
            self.log.start(text, now, [*lost, *events])

    def reload(self, config: Path) -> None:
        """Reads the settings again; good ones take effect at the next slot, others change nothing."""
        try:
            found = reread(config, self.settings, os.environ)
        except HakariError as error:
            _log.error("the settings are refused, the old ones stay in force: %s", error)
            return
        before = self._reloaded or Reloaded(self.settings, self._base)
        self._reloaded = found if found != Reloaded(self.settings, self._base) else None
        if found != before:
            _log.info("the settings were read again; they take effect at the next slot")

    def reconfigure(self, config: Path, text: str) -> None:
        """Takes meters and rates that a configurer has signed, from the next slot on; a HakariError refuses them."""
        found = taken_from_afar(config, self.settings, text, os.environ)
        self._reloaded = found if found != Reloaded(self.settings, self._base) else None

    def _reconfigure(self) -> None:
        """Takes settings that were read again, between two slots."""
        if self._reloaded is None:
            return
        old, old_places = self.configuration, {bus.id: bus for bus in self.settings.buses}
        self.settings, self._base = self._reloaded
        self._reloaded = None
        places = {bus.id: bus for bus in self.settings.buses}
        waits = {bus_id: _waits(self._base, bus_id) for bus_id in places}
        for bus_id in list(self.buses):
            if places.get(bus_id) != old_places[bus_id] or waits[bus_id] != _waits(old, bus_id):
                self.buses.pop(bus_id).close()
        self.buses |= {one: open_bus(place, waits[one]) for one, place in places.items() if one not in self.buses}
        self.identities.configure(self._base)
        self._note()
        self.sampling.reconfigure(self.configuration, self.buses, timeouts_of(self.settings.buses))
        now = self.clock.now()
        if old != self.configuration:
            self.log.reconfigure(self.text, now, [changed(old, self.configuration, now.wall_ms)])

    def _keep_lessons(self) -> None:
        """Keeps and logs what the meters' refusals taught."""
        for lesson in self.sampling.lessons():
            now = self.clock.now()
            _log.info("meter %s: %s", lesson.meter, lesson.what)
            self.spool.put_note(lesson.key, lesson.text)
            self.log.add_event(lesson.event(now.wall_ms), now)

    def _prune(self) -> None:
        now = self.clock.now()
        if now.sync != UNSYNCHRONISED and time.monotonic() - self._pruned_s > PRUNE_EVERY_S:
            self._pruned_s = time.monotonic()
            self.spool.prune(now.wall_ms - self.settings.edge.ring_days * DAY_MS)

    async def stop(self) -> None:
        """Cuts what is open, logs the stop and gives the last leaves a little time."""
        self.telling.end()
        if self.log.started:
            now = self.clock.now()
            self.log.cut(now)
            self.log.add_event(Event("stop", now.wall_ms), now)
            await self._drain()
        self.note_link(Link.STOPPED)

    def note_link(self, link: Link) -> None:
        """Keeps how we stand with the broker where `status` can read it."""
        if link != self.spool.number(LINK):
            with self.spool.transaction():
                self.spool.put_number(LINK, link)
                self.spool.put_number(LINK_SINCE, self.clock.now().wall_ms)

    def close(self) -> None:
        """Lets go of connections and files; what is committed stays committed."""
        self.outbox.stop()
        for bus in self.buses.values():
            bus.close()
        self.spool.close()

    async def _drain(self) -> None:
        until = time.monotonic() + DRAIN_S
        if not self.stored():
            _log.info(
                "ending; the last leaves have up to %.0f s to be stored, what is not is sent after the next start",
                DRAIN_S,
            )
        while time.monotonic() < until and not self.stored() and self.outbox.standing.link is Link.CONNECTED:
            self.courier.pump()
            await asyncio.sleep(0.02)

    def stored(self) -> bool:
        """Whether every leaf of the current epoch is known as stored."""
        current = self.spool.current()
        return current is not None and current.mark >= current.size


def _waits(configuration: MeteringConfiguration, bus_id: str) -> Waits:
    return waits_of(meter for meter in configuration.meters if meter.bus == bus_id)


def run(config: Path) -> None:
    """Runs until SIGTERM or SIGINT."""
    logs.set_up(os.environ)
    settings = load_settings(config, os.environ)
    asyncio.run(_main(settings, config))


async def _main(settings: Settings, config: Path) -> None:
    edge = Edge(settings, config.parent)
    stop, hangup = asyncio.Event(), asyncio.Event()
    for name, event in ((signal.SIGHUP, hangup), (signal.SIGTERM, stop), (signal.SIGINT, stop)):
        on_signal(name, event)
    follow = _follow_driver if settings.clock.source == "lockstep" else _follow_system
    tasks = [asyncio.create_task(work, name=name) for name, work in (
        ("sampling", follow(edge)),
        ("sending", edge.courier.run()),
        ("watching", _watch(edge)),
        ("reloading", reload_on(hangup, lambda: edge.reload(config))),
        ("asked", edge.requests.run(lambda text: edge.reconfigure(config, text), lambda one: answer(config, one))),
        ("stopping", stop.wait()),
    )]  # fmt: skip
    try:
        edge.outbox.start()
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a task that ended with an error ends the process, loudly
        await _cancelled(tasks)
        await edge.stop()
    finally:
        await _cancelled(tasks)
        edge.close()


async def _cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(edge: Edge) -> None:
    while True:
        edge.outbox.check()
        edge.note_link(edge.outbox.standing.link)
        await asyncio.sleep(WATCH_S)


async def _follow_system(edge: Edge) -> None:
    await edge.begin()
    last_ms = 0
    while True:
        interval_ms = edge.settings.edge.interval_s * 1000
        edge.timing.settle()
        now_ms = edge.clock.now().wall_ms
        slot_ms = following(last_ms, now_ms, interval_ms, edge.settings.edge.max_lag_s * 1000)
        if await edge.timing.reached(slot_ms):  # else the clock was set, and another slot is due
            await edge.take(slot_ms)
            last_ms = slot_ms


async def _follow_driver(edge: Edge) -> None:
    clock = edge.machine
    if not isinstance(clock, LockstepClock):
        raise TypeError("following a driver needs the lockstep clock")
    loop = asyncio.get_running_loop()
    ticks: asyncio.Queue[Tick] = asyncio.Queue()
    host, port = host_and_port(edge.settings.clock.address)
    driver = LockstepClient(
        host, port, Hello(edge.edge_id, "edge"), lambda tick: on_loop(loop, lambda: ticks.put_nowait(tick))
    )
    driver.start()
    try:
        started = False
        while True:
            tick = await ticks.get()
            clock.set(tick)
            if not started:
                await edge.begin()
                started = True
            await edge.take(tick.t_ms)
            if tick.flush:
                edge.log.cut(clock.now())
                edge.courier.wake.set()
            current = edge.spool.current()
            driver.answer(Answer(tick.tick, current.size if current else 0, current.mark if current else 0))
    finally:
        driver.stop()
