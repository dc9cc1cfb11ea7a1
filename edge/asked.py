"""What requests from afar do at an edge: another metering part of its settings, and three questions answered."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge.afar import check_afar, check_rates, measure_of
from edge.reload import Reloaded, reread
from edge.requests import MAX_ANSWER_CHARS
from edge.settings import Settings, metering_configuration, own_settings, remote_file
from edge.status import status
from hakari.errors import BadConfiguration, Refused
from hakari.log.keyfile import sync_folder

REMOTE_MODE = 0o600


class NotFromAfar(Refused):
    """This edge takes no configuration from afar."""


class RemoteNotKept(BadConfiguration):
    """A configuration from afar cannot be written beside the settings."""


def taken_from_afar(config: Path, old: Settings, text: str, environ: Mapping[str, str]) -> Reloaded:
    """The settings with the meters and rates in `text`, which are on disk beside them then; those before are kept.

    A HakariError says why nothing has changed.
    """
    if not old.edge.remote_configuration:
        raise NotFromAfar(
            "[edge].remote_configuration is false at this edge; whoever is there sets it to true and starts it again"
        )
    found = reread(config, old, environ, text)
    own = own_settings(config, environ)
    check_afar(own, old, found.settings)
    check_rates(metering_configuration(measure_of(own, found.settings), config.parent), found.base)
    _keep(remote_file(config), text.encode())
    return found


def _keep(path: Path, content: bytes) -> None:
    """Replaces the file as a whole, the one before under `.before`; the same content once more changes nothing."""
    try:
        if path.is_file() and path.read_bytes() == content:
            return
        new = path.with_name(f"{path.name}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, REMOTE_MODE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.is_file():
            before = path.with_name(f"{path.name}.before")
            before.unlink(missing_ok=True)
            before.hardlink_to(path)
        new.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise RemoteNotKept(f"{path} cannot be written: {error.strerror}; the old settings stay in force") from error


def answer(config: Path, question: str) -> str:
    """The answer as JSON in ASCII, at most MAX_ANSWER_CHARS long: from the spool alone, no meter is asked for it."""
    told: dict[str, Any] = msgspec.to_builtins(status(config))
    meters = told.pop("meters")
    if question == "link":
        keys = ("edge", "link", "link_since_ms", "epochs", "not_stored_leaves", "waiting_samples", "clock", "stopped")
        return shortened({key: told[key] for key in keys}, MAX_ANSWER_CHARS)
    if question == "bus":
        return shortened({"edge": told["edge"], "meters": meters}, MAX_ANSWER_CHARS)
    return shortened({**told, "meters": [_brief(one) for one in meters]}, MAX_ANSWER_CHARS)


def _brief(meter: Mapping[str, Any]) -> dict[str, Any]:
    return {key: meter[key] for key in ("meter", "bus", "last_answer_ms", "counting", "measured", "error", "suspended")}


def shortened(told: dict[str, Any], max_chars: int) -> str:
    """`told` as JSON in ASCII of at most `max_chars` (500 at least), always whole.

    Where it is too long the longest list loses its end, again and again; `left_out` says how many of each. What is too
    long even so loses its longest field.
    """
    kept, left_out = dict(told), dict[str, int]()
    while len(text := _json({**kept, **({"left_out": left_out} if left_out else {})})) > max_chars:
        longest = max(kept, key=lambda key: len(_json(kept[key])))
        value = kept[longest]
        if not isinstance(value, list) or not value:
            del kept[longest]
            left_out[longest] = left_out.get(longest, 0) + 1
            continue
        # About as much as is too much, by the mean length of one, and one at least.
        gone = min(len(value), max(1, len(value) * (len(text) - max_chars) // len(_json(value))))
        kept[longest] = value[:-gone]
        left_out[longest] = left_out.get(longest, 0) + gone
    return text


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
