"""The edge process: one supervised loop of sampling, sending and stopping cleanly. Names the adapters."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.courier import Courier
from edge.log import EdgeLog
from edge.modbus import Bus
from edge.outbox import Outbox
from edge.plan import Plan, plan_of
from edge.sampler import next_slot, sample_slot, slots_within
from edge.settings import Settings, edge_id_of, load_settings, metering_configuration
from edge.spool import LAST_SLOT, LINK, LINK_SINCE, Spool
from edge.trust import trusted
from hakari import __version__
from hakari.clock import PlantClock, PlantTime, SystemClock
from hakari.crash import crash_point
from hakari.lockstep import Answer, Hello, LockstepClient, LockstepClock, Tick, host_and_port
from hakari.mqtt import Link
from hakari.settings import within
from hakari.wire.configuration import text_of
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
        configuration = metering_configuration(settings, folder)
        self.plan: Plan = plan_of(configuration)
        self.text = text_of(configuration)
        self.edge_id = edge_id_of(settings)
        key, roster = trusted(settings, folder)
        self.clock: PlantClock = LockstepClock() if settings.clock.source == "lockstep" else SystemClock()
        self.spool = Spool(str(within(folder, settings.edge.spool)))
        namespace = settings.edge.namespace
        self.log = EdgeLog(self.spool, key, namespace, self.edge_id, secrets.token_hex(8), f"hakari {__version__}")
        loop = asyncio.get_running_loop()
        self.outbox = Outbox(
            settings.broker,
            folder,
            self.edge_id,
            lambda connected: _on_loop(loop, lambda: self.courier.changed(connected)),
            lambda mark: _on_loop(loop, lambda: self.courier.mark(mark)),
        )
        self.courier = Courier(self.log, roster, self.clock, self.outbox)
        self.buses = {bus.id: Bus(bus) for bus in settings.buses}
        self._pruned_s = 0.0
        self._skipped = 0
        self._silent: set[str] = set()
        self._stretches: dict[str, Stretch | None] = {}

    async def take(self, slot_ms: int) -> None:
        """Reads every meter for `slot_ms` and commits the sample; a slot is sampled once, even over a restart."""
        last_ms = self.spool.number(LAST_SLOT)
        if slot_ms == last_ms:
            return
        if slot_ms < last_ms:
            now = self.clock.now()
            self.log.add_event(Event("clock-step-back", now.wall_ms, {"last_slot_ms": str(last_ms)}), now)
        began = self.clock.now()
        sample = await sample_slot(self.buses, self.plan, slot_ms, self.clock)
        self._tell_pace(began, self.clock.now())
        self._tell_silence(sample)
        self._tell_frozen(sample)
        with self.spool.transaction():
            self.log.add_sample(sample, self.clock.now(), self.settings.edge.batch_samples)
            self.spool.put_number(LAST_SLOT, slot_ms)
        crash_point("edge.committed")
        self.courier.wake.set()
        self._prune()

    def _tell_pace(self, began: PlantTime, ended: PlantTime) -> None:
        """Says once that samples take so long that slots are skipped, and at the end how many were."""
        interval_s, took_ms = self.settings.edge.interval_s, ended.mono_ms - began.mono_ms
        skipped = slots_within(began.wall_ms, took_ms, interval_s * 1000)
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
        if time.monotonic() - self._pruned_s > PRUNE_EVERY_S:
            self._pruned_s = time.monotonic()
            self.spool.prune(self.clock.now().wall_ms - self.settings.edge.ring_days * DAY_MS)

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


def run(config: Path) -> None:
    """Runs until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = load_settings(config, os.environ)
    asyncio.run(_main(settings, config.parent))


async def _main(settings: Settings, folder: Path) -> None:
    edge = Edge(settings, folder)
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
    interval_ms = edge.settings.edge.interval_s * 1000
    while True:
        now_ms = edge.clock.now().wall_ms
        slot_ms = next_slot(now_ms, interval_ms)
        await asyncio.sleep((slot_ms - now_ms) / 1000)
        if edge.clock.now().wall_ms >= slot_ms:  # a wait may end early by the wall clock
            await edge.take(slot_ms)


async def _follow_driver(edge: Edge) -> None:
    clock = edge.clock
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
