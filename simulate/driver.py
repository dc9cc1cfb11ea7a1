"""The lockstep driver on a loopback socket: sets the plants' time and waits until everyone has followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple, Self

import msgspec

from hakari.errors import NotReachable
from hakari.lockstep import MAX_LINE_BYTES, Answer, Hello
from simulate.lockstep import FIRST_TICK, ClientRefused, Lockstep, Send

WAIT_LIMIT_S = 120.0
FLUSH_POLL_S = 0.05


class NoAnswer(NotReachable):
    """An edge or watcher did not answer a tick in time."""


class PortTaken(NotReachable):
    """The driver's address cannot be listened on."""


class Progress(NamedTuple):
    """Where a run is: tick `done` of `total`, plant time `t_ms`."""

    done: int
    total: int
    t_ms: int


def _ignore(_: Progress) -> None:
    """Progress that nobody watches."""


class Driver:
    """Serves lockstep clients. Use as an async context manager; `port` is then the port in use."""

    def __init__(
        self,
        edges: Iterable[str],
        *,
        watchers: Iterable[str] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        wait_limit_s: float = WAIT_LIMIT_S,
    ) -> None:
        """`wait_limit_s` is how long one tick or one flush may take."""
        self.state = Lockstep(edges, watchers)
        self.host = host
        self.port = port
        self._wait_limit_s = wait_limit_s
        self._server: asyncio.Server | None = None
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._connections = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._accept, self.host, self.port, limit=MAX_LINE_BYTES)
        except OSError as error:
            raise PortTaken(
                f"the lockstep driver cannot listen on {self.host}:{self.port} ({error.strerror}); free the port"
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers.values()):
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def run(
        self, times_ms: list[int], set_time: Callable[[int], None], progress: Callable[[Progress], None] = _ignore
    ) -> None:
        """Drives every time of `times_ms` in turn, then flushes: everything sampled is then known as stored."""
        await self._wait("watcher")
        for tick, t_ms in enumerate(times_ms, FIRST_TICK):
            await self.step(tick, t_ms, set_time)
            progress(Progress(tick, len(times_ms), t_ms))
        await self.flush()

    async def step(self, tick: int, t_ms: int, set_time: Callable[[int], None]) -> None:
        """One tick: the meters' time, then the watchers, then the edges. NoAnswer past the wait limit."""
        sends = self.state.begin(tick, t_ms)
        set_time(t_ms)
        self._send(sends)
        await self._wait("watcher")
        self._send(self.state.tell_edges())
        await self._wait("edge")

    async def flush(self) -> None:
        """Returns when every expected edge knows all its leaves as stored. NoAnswer past the wait limit."""
        self._send(self.state.begin_flush())
        await self._wait("edge", poll=True)

    async def _wait(self, role: str, *, poll: bool = False) -> None:
        deadline_s = asyncio.get_running_loop().time() + self._wait_limit_s
        while self.state.waiting():
            rest_s = deadline_s - asyncio.get_running_loop().time()
            if rest_s <= 0:
                raise self._no_answer(role)
            self._changed.clear()
            try:
                async with asyncio.timeout(min(rest_s, FLUSH_POLL_S) if poll else rest_s):
                    await self._changed.wait()
            except TimeoutError:
                self._send(self.state.poll_flush() if poll else [])

    def _no_answer(self, role: str) -> NoAnswer:
        names = ", ".join(self.state.described(name) for name in self.state.waiting())
        tick = self.state.tick
        at = datetime.fromtimestamp(tick.t_ms / 1000, UTC).isoformat()
        what = "know all its leaves as stored after" if tick.flush else "answer"
        return NoAnswer(
            f"{role} {names} did not {what} tick {tick.tick} ({at}) within {self._wait_limit_s:g} s;"
            " look at its log, then start again"
        )

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        connection = self._connections
        self._writers[connection] = writer
        try:
            sends, old = self.state.hello(connection, msgspec.json.decode(await _line(reader), type=Hello))
            for at in old:
                self._writers.pop(at).close()
            self._send(sends)
            self._changed.set()
            while line := await _line(reader):
                self.state.answer(connection, msgspec.json.decode(line, type=Answer))
                self._changed.set()
        except (ClientRefused, msgspec.DecodeError) as error:
            writer.write(msgspec.json.encode({"error": str(error)}) + b"\n")
        except OSError:
            pass  # the client is gone: it comes back, or the wait limit names it
        finally:
            self.state.gone(connection)
            self._writers.pop(connection, None)
            self._changed.set()
            writer.close()

    def _send(self, sends: list[Send]) -> None:
        for connection, tick in sends:
            self._writers[connection].write(msgspec.json.encode(tick) + b"\n")


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line, empty at the end; ClientRefused when it is too long."""
    try:
        return await reader.readline()
    except ValueError as error:
        raise ClientRefused(f"a line is longer than {MAX_LINE_BYTES} bytes; send one answer a line") from error
