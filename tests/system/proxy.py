"""A small TCP proxy: passes on, swallows everything without a word (a half-open connection), or cuts."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

CHUNK = 65_536
ACCEPT_S = 0.1


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(ACCEPT_S)
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._ended = threading.Event()
        self._swallows = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.cut()
        self._thread.join()
        self._listener.close()

    def swallow(self) -> None:
        """From now on bytes vanish in both directions, of old and new connections, and none is closed."""
        self._swallows.set()

    def pass_on(self) -> None:
        """New connections work again; one that lost bytes is cut, as it must be."""
        self.cut()
        self._swallows.clear()

    def cut(self) -> None:
        """Ends what is connected."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._sockets = []

    def _accept(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError, ConnectionError):
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK):
                if not self._swallows.is_set():
                    sink.sendall(chunk)
        if not self._swallows.is_set():
            for one in (source, sink):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
