"""How every room logs: one line an event, as text for people or JSON for programs, never with a secret in it.

Guaranteed: a text that was guarded stands in no line, neither in a message nor in a traceback. A line about one leaf
bears its trace, `{edge id}/{epoch}/{i}`: the same in the edge's log, in ingest's, in every reading of that leaf, and in
`hakari log trace`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from hakari.errors import BadConfiguration
from hakari.names import Origin

FORMAT_KEY = "HAKARI_LOG_FORMAT"
TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
FORMATS = ("text", "json")
LEAST_SECRET_CHARS = 4
MAX_SECRETS = 1000
HIDDEN = "[secret]"

_secrets: set[str] = set()


class LogFormatUnknown(BadConfiguration):
    """The environment asks for a log format that there is not."""


def guard(secret: str) -> str:
    """`secret` itself; from now on no log line of this process shows it. Of fewer than four characters it may."""
    if len(secret) >= LEAST_SECRET_CHARS and len(_secrets) < MAX_SECRETS:
        _secrets.add(secret)
    return secret


def trace(origin: Origin, i: int) -> dict[str, str]:
    """What a log call about leaf `i` of `origin` gives as its `extra`."""
    return {"trace": f"{origin.edge_id}/{origin.epoch}/{i}"}


def set_up(environ: Mapping[str, str]) -> None:
    """Logs to stderr from now on, in the format that HAKARI_LOG_FORMAT names: text (the default) or json."""
    chosen = environ.get(FORMAT_KEY, "text")
    if chosen not in FORMATS:
        raise LogFormatUnknown(f"{FORMAT_KEY} is {chosen[:40]!r}; it must be one of {', '.join(FORMATS)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if chosen == "json" else _Text(TEXT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        place = getattr(record, "trace", "")
        return _hidden(f"{line} [{place}]" if place else line)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if place := getattr(record, "trace", ""):
            line["trace"] = str(place)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps({name: _hidden(value) for name, value in line.items()}, ensure_ascii=False)


def _hidden(line: str) -> str:
    # The longest first, so that a secret within another leaves none of it.
    for secret in sorted(_secrets, key=len, reverse=True):
        line = line.replace(secret, HIDDEN)
    return line
