"""What a supervisor and Prometheus see of a running ingest: /metrics, /healthz, /readyz on an address of its own.

Guaranteed: a request reads what the loop has told, touches no store and delays nothing; there is nothing to write, no
secret and no reading. Healthy is a process whose loop came round lately; ready is one that the broker lets work.
"""

from __future__ import annotations

import json
import os
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Histogram, PlatformCollector, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from hakari.alive import Alive
from hakari.errors import BadConfiguration

LOOP_LIMIT_S = 30.0
REQUEST_LIMIT_S = 10.0
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
MESSAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Start = Callable[..., Any]


class CannotListen(BadConfiguration):
    """The address in the settings cannot be listened on."""


class Seen(NamedTuple):
    """What the loop tells each time that it comes round.

    `trouble` keeps ingest from its work, `without` does not; "" for none. `outcomes` count messages by what became of
    them; `quarantined` are messages, bytes and how many were dropped; `behind` origins with leaves not in the view;
    `sources` says which of other senders' sources do not work, "" for none.
    """

    trouble: str
    without: str
    connected: bool
    outcomes: Mapping[str, int]
    quarantined: tuple[int, int, int]
    behind: int
    roster_serial: int
    sources: str = ""


class Observed:
    """Told by the loop in `beat`, asked by whoever watches. Without an address it does nothing."""

    def __init__(self, address: str, folder: Path | None, machine_s: Callable[[], float] = time.monotonic) -> None:
        """`address` is host:port, "" for none; `folder` is where the evidence log's file lies, None elsewhere."""
        self._address = address
        self._folder = folder
        self._machine_s = machine_s
        self._seen: Seen | None = None
        self._beat_s = 0.0
        self._server: WSGIServer | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._commit = Histogram(
            "hakari_ingest_commit_seconds", "Taking and committing one group of messages", registry=self._registry,
            buckets=SECONDS,
        )  # fmt: skip
        self._group = Histogram(
            "hakari_ingest_group_messages", "Messages in one group", registry=self._registry, buckets=MESSAGES
        )
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    @property
    def port(self) -> int:
        """The port that is listened on, 0 while none is."""
        return 0 if self._server is None else self._server.server_port

    def start(self) -> None:
        """Listens from now on; CannotListen where that is not possible."""
        if not self._address:
            return
        host, _, port = self._address.rpartition(":")
        try:
            self._server = make_server(host.strip("[]"), int(port), self._answer, _Server, _Handler)
        except OSError as error:
            raise CannotListen(
                f"[ingest].observe = {self._address!r}: cannot listen there ({error.strerror}); choose another port"
            ) from error
        threading.Thread(target=self._server.serve_forever, name="observed", daemon=True).start()

    def stop(self) -> None:
        """Listens no longer."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def group(self, messages: int, seconds: float) -> None:
        """A group was committed."""
        self._group.observe(messages)
        self._commit.observe(seconds)

    def beat(self, seen: Seen) -> None:
        """The loop has come round."""
        self._seen, self._beat_s = seen, self._machine_s()

    def collect(self) -> Iterator[Metric]:
        """Every metric but the histograms, as of the last beat."""
        seen = self._seen
        if seen is None:
            return
        outcomes = CounterMetricFamily("hakari_ingest_messages", "Messages by what became of them", labels=["outcome"])
        for word, count in sorted(seen.outcomes.items()):
            outcomes.add_metric([word], count)
        yield outcomes
        kept, size_bytes, dropped = seen.quarantined
        yield from (
            GaugeMetricFamily("hakari_ingest_broker_connected", "1 while the broker answers", int(seen.connected)),
            GaugeMetricFamily("hakari_ingest_ready", "1 while nothing keeps ingest from its work", int(self.ready)),
            GaugeMetricFamily("hakari_ingest_view_reachable", "1 while the view can be fed", int(not seen.without)),
            GaugeMetricFamily("hakari_ingest_sources_working", "1 while every source works", int(not seen.sources)),
            GaugeMetricFamily("hakari_ingest_view_origins_behind", "Origins not wholly in the view", seen.behind),
            GaugeMetricFamily("hakari_ingest_quarantine_messages", "Quarantined messages kept", kept),
            GaugeMetricFamily("hakari_ingest_quarantine_bytes", "Bytes of them", size_bytes),
            CounterMetricFamily("hakari_ingest_quarantine_dropped", "Dropped to stay within limits", dropped),
            GaugeMetricFamily("hakari_ingest_roster_serial", "Serial of the roster in force", seen.roster_serial),
            GaugeMetricFamily("hakari_ingest_loop_age_seconds", "Since the loop came round", self._age_s),
        )
        if self._folder is not None:
            disk = os.statvfs(self._folder)
            size = disk.f_frsize * disk.f_blocks
            yield GaugeMetricFamily("hakari_ingest_disk_size_bytes", "Disk of the evidence log", size)
            free = disk.f_frsize * disk.f_bavail
            yield GaugeMetricFamily("hakari_ingest_disk_free_bytes", "Of it free for ingest", free)

    @property
    def healthy(self) -> bool:
        """Whether the loop came round lately."""
        return self._seen is not None and self._age_s <= LOOP_LIMIT_S

    @property
    def ready(self) -> bool:
        """Whether it is healthy and nothing keeps it from its work."""
        return self.healthy and self._seen is not None and self._seen.connected and not self._seen.trouble

    @property
    def _age_s(self) -> float:
        return self._machine_s() - self._beat_s

    def _answer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "")
        if method not in ("GET", "HEAD"):
            return _json(start, "405 Method Not Allowed", {"error": "this address is read with GET"})
        if path == "/metrics":
            answer: Iterable[bytes] = make_wsgi_app(self._registry)(environ, start)
            return answer
        if path == "/healthz":
            return _json(start, _status(self.healthy), {"healthy": self.healthy})
        if path == "/readyz":
            seen = self._seen
            said = {"trouble": "not started yet" if seen is None else seen.trouble, "without": seen and _without(seen)}
            return _json(start, _status(self.ready), {"ready": self.ready, **said})
        return _json(start, "404 Not Found", {"error": "there are /metrics, /healthz and /readyz"})


def _without(seen: Seen) -> str:
    return "; ".join(filter(None, (seen.without, seen.sources)))


def _status(good: bool) -> str:
    return "200 OK" if good else "503 Service Unavailable"


def _json(start: Start, status: str, content: Mapping[str, object]) -> list[bytes]:
    body = json.dumps(content).encode()
    start(
        status,
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )
    return [body]


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_LIMIT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as the base class has it
        """Nothing: a scrape every few seconds is no event."""


class Signs:
    """Every sign of life that the loop gives: the small file for a supervisor, and what is seen over HTTP."""

    def __init__(self, alive: Alive, observed: Observed) -> None:
        self._alive = alive
        self._observed = observed

    def start(self) -> None:
        """Listens from now on, where an address is set; CannotListen where that is not possible."""
        self._observed.start()

    def group(self, messages: int, seconds: float) -> None:
        """A group of messages was committed."""
        if messages:
            self._observed.group(messages, seconds)

    def beat(self, seen: Seen) -> None:
        """The loop has come round."""
        self._alive.beat(seen.trouble, _without(seen))
        self._observed.beat(seen)

    def end(self) -> None:
        """The process ends by itself."""
        self._alive.end()
        self._observed.stop()
