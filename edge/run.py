"""The edge process: one supervised loop of sampling, sending and stopping cleanly. Names the adapters."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.buffer import MB, Buffer, free_bytes
from edge.commission.examination import Identities
from edge.commission.identity import Finding, identity_key, text_of_note, with_notes
from edge.courier import Courier
from edge.log import EdgeLog
from edge.modbus.bus import Bus
from edge.modbus.buses import Waits, open_bus, waits_of
from edge.outbox import Outbox
from edge.reads.sampler import following, slots_skipped
from edge.reads.sampling import Sampling, timeouts_of
from edge.reload import Reloaded, changed, reread
from edge.settings import Settings, edge_id_of, load_settings, metering_configuration
from edge.spool import LINK, LINK_SINCE, Spool
from edge.timekeeping import STEP_MS
from edge.timing import Timing, last_slot_key
from edge.trust import trusted
from hakari import __version__
from hakari.clock import UNSYNCHRONISED, PlantClock, PlantTime, SystemClock
from hakari.crash import crash_point
from hakari.errors import HakariError
from hakari.lockstep import Answer, Hello, LockstepClient, LockstepClock, Tick, host_and_port
from hakari.mqtt import Link
from hakari.settings import within
from hakari.wire.configuration import MeteringConfiguration, text_of
from hakari.wire.frozen import Stretch, by_meter, follow
from hakari.wire.leaf import Event, Sample

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
        self.buffer = Buffer(settings.edge.min_free_mb * MB, lambda: free_bytes(spool.parent))
        self.identities = Identities(self.spool.note)
        self.identities.configure(self._noted())
        namespace = settings.edge.namespace
        self.log = EdgeLog(self.spool, key, namespace, self.edge_id, self.timing.boot, f"hakari {__version__}")
        loop = asyncio.get_running_loop()
        self.outbox = Outbox(
            settings.broker,
            folder,
            self.edge_id,
            lambda connected: _on_loop(loop, lambda: self.courier.changed(connected)),
            lambda mark: _on_loop(loop, lambda: self.courier.mark(mark)),
        )
        self.courier = Courier(self.log, roster, self.clock, self.outbox, witness=self.timing.clock)
        self.buses: dict[str, Bus] = {bus.id: open_bus(bus, _waits(self._base, bus.id)) for bus in settings.buses}
        self.sampling = self._sampling()
        self._pruned_s = 0.0
        self._skipped = 0
        self._silent: set[str] = set()
        self._stretches: dict[str, Stretch | None] = {}

    def _noted(self) -> MeteringConfiguration:
        """Puts settings and the spool's notes together: what is read, and what is logged of it."""
        self.configuration = with_notes(self._base, self.spool.note)
        self.text = text_of(self.configuration)
        return self.configuration

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
        self._tell_pace(began, self.clock.now())
        self._tell_silence(sample)
        self._tell_frozen(sample)
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
        """Logs what happened to the clock."""
        for event in self.timing.clock.events():
            _log.warning("%s: %s", event.kind, event.data)
            self.log.add_event(event, self.clock.now())

    def _was_taken(self, slot_ms: int) -> bool:
        """Whether the slot has its sample, as after a second that came twice; a larger step back is logged."""
        now = self.clock.now()
        last_ms = self.spool.number(last_slot_key(now))
        if last_ms - STEP_MS <= slot_ms <= last_ms:
            return True
        if slot_ms < last_ms:
            self.log.add_event(Event("clock-step-back", now.wall_ms, {"last_slot_ms": str(last_ms)}), now)
        return False

    def _has_no_room(self) -> bool:
        """Whether the disk is down to its reserve: then nothing is read, and nothing deleted."""
        now = self.clock.now()
        event = self.buffer.look(now.wall_ms)
        if event is not None:
            _log.warning("%s: %s bytes are free, [edge].min_free_mb keeps %s", event.kind, *event.data.values())
            self.log.add_event(event, now)
            self.courier.wake.set()
        return self.buffer.full

    def _identified(self, findings: Sequence[Finding]) -> None:
        """Keeps what is new of the meters' identities; another meter's readings stop to count from the next leaf on."""
        if not findings:
            return
        with self.spool.transaction():
            for finding in findings:
                if finding.known is not None:
                    self.spool.put_note(identity_key(finding.meter), text_of_note(finding.known))
                    if finding.known.suspended:
                        _log.error("meter %s: %s; its readings do not count", finding.meter, finding.known.suspended)
            self._noted()
            events = [event for finding in findings for event in finding.events]
            self.log.reconfigure(self.text, self.clock.now(), events)

    def reload(self, config: Path) -> None:
        """Reads the settings again; good ones take effect at the next slot, others change nothing."""
        try:
            self._reloaded = reread(config, self.settings, os.environ)
        except HakariError as error:
            _log.error("the settings are refused, the old ones stay in force: %s", error)
        else:
            _log.info("the settings were read again; they take effect at the next slot")

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
        self.identities.configure(self._noted())
        self.sampling.reconfigure(self.configuration, self.buses, timeouts_of(self.settings.buses))
        now = self.clock.now()
        self.log.reconfigure(self.text, now, [changed(old, self.configuration, now.wall_ms)])

    def _keep_lessons(self) -> None:
        """Keeps and logs what the meters' refusals taught."""
        for lesson in self.sampling.lessons():
            now = self.clock.now()
            _log.info("meter %s: %s", lesson.meter, lesson.what)
            self.spool.put_note(lesson.key, lesson.text)
            self.log.add_event(lesson.event(now.wall_ms), now)

    def _tell_pace(self, began: PlantTime, ended: PlantTime) -> None:
        """Says once that samples take so long that slots are skipped, and at the end how many were."""
        interval_s, took_ms = self.settings.edge.interval_s, ended.mono_ms - began.mono_ms
        skipped = slots_skipped(began.wall_ms, took_ms, interval_s * 1000, self.settings.edge.max_lag_s * 1000)
        if skipped and not self._skipped:
            _log.warning(
                "a sample took %.1f s, longer than the interval of %d s: slots are skipped;"
                " see which meter answers slowly, or lengthen interval_s",
                took_ms / 1000,
                interval_s,
            )
        if self._skipped and not skipped:
            _log.info("samples keep the interval of %d s again; %d slots were skipped", interval_s, self._skipped)
            self._skipped = 0
        self._skipped += skipped

    def _tell_silence(self, sample: Sample) -> None:
        """Says once that a meter stopped to answer, and once that it is back; each error itself is in the leaf."""
        answered = {block.meter for block in sample.blocks if not block.error}
        for meter in sorted({block.meter for block in sample.blocks} - answered - self._silent):
            reason = next(block.error for block in sample.blocks if block.meter == meter)
            _log.warning("meter %s answers nothing: %s", meter, reason)
            self._silent.add(meter)
        for meter in sorted(self._silent & answered):
            _log.info("meter %s answers again", meter)
            self._silent.discard(meter)

    def _tell_frozen(self, sample: Sample) -> None:
        """Says once that a meter repeats itself word for word, and once that it no longer does."""
        for meter, blocks in by_meter(sample).items():
            before = self._stretches.get(meter)
            stretch = self._stretches[meter] = follow(before, sample.slot_ms, blocks)
            was, is_ = before is not None and before.frozen, stretch is not None and stretch.frozen
            if is_ and not was and stretch is not None:
                minutes = (stretch.last_ms - stretch.since_ms) // 60_000
                _log.warning("meter %s has answered the same words for %d min; see whether it is stuck", meter, minutes)
            if was and not is_:
                _log.info("meter %s no longer answers the same words", meter)

    def _prune(self) -> None:
        now = self.clock.now()
        if now.sync != UNSYNCHRONISED and time.monotonic() - self._pruned_s > PRUNE_EVERY_S:
            self._pruned_s = time.monotonic()
            self.spool.prune(now.wall_ms - self.settings.edge.ring_days * DAY_MS)

    async def stop(self) -> None:
        """Cuts what is open, logs the stop and gives the last leaves a little time."""
        if self._skipped:
            _log.warning("%d slots were skipped up to the end because samples took too long", self._skipped)
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
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = load_settings(config, os.environ)
    asyncio.run(_main(settings, config))


async def _main(settings: Settings, config: Path) -> None:
    edge = Edge(settings, config.parent)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, edge.reload, config)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    follow = _follow_driver if settings.clock.source == "lockstep" else _follow_system
    tasks = [asyncio.create_task(work, name=name) for name, work in (
        ("sampling", follow(edge)),
        ("sending", edge.courier.run()),
        ("watching", _watch(edge)),
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
    edge.log.start(edge.text, edge.clock.now())
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
        host, port, Hello(edge.edge_id, "edge"), lambda tick: _on_loop(loop, lambda: ticks.put_nowait(tick))
    )
    driver.start()
    try:
        started = False
        while True:
            tick = await ticks.get()
            clock.set(tick)
            if not started:
                edge.log.start(edge.text, clock.now())
                started = True
            await edge.take(tick.t_ms)
            if tick.flush:
                edge.log.cut(clock.now())
                edge.courier.wake.set()
            current = edge.spool.current()
            driver.answer(Answer(tick.tick, current.size if current else 0, current.mark if current else 0))
    finally:
        driver.stop()


def _on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
        loop.call_soon_threadsafe(call)
