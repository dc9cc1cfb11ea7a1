"""The tables of `ingest.toml` for alarms: `[alarms]`, `[[alarms.webhook]]` and `[[check]]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hakari.errors import BadConfiguration
from hakari.log.keyfile import KeyFileInvalid, KeyFileUnsafe, read_private
from hakari.settings import beside

MAX_CHECKS = 1000
MAX_WEBHOOKS = 8
MAX_SECRET_CHARS = 400

PointName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}/[a-z0-9_]{1,40}/[a-z0-9_]{1,40}$")]


class WebhookSecretUnusable(BadConfiguration):
    """A webhook's secret cannot be read, or is none of the standard's."""


class WebhookTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[alarms.webhook]]`: one receiver of alarms, as the Standard Webhooks say.

    `secret_file` holds the shared secret, `whsec_` and base64, and has mode 0600; `language` is that of the sentence in
    the message.
    """

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=500)]
    secret_file: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    language: Literal["en", "ja"] = "en"

    def secret(self, config: Path) -> str:
        """The secret in its file; WebhookSecretUnusable otherwise."""
        file = beside(config, self.secret_file)
        try:
            secret = read_private(file).decode("ascii").strip()
        except (KeyFileInvalid, KeyFileUnsafe, UnicodeDecodeError) as error:
            raise WebhookSecretUnusable(
                f"{config}: [[alarms.webhook]].secret_file {file} cannot be read ({error}); it must hold the secret,"
                " and nobody but ingest's user may read it"
            ) from error
        if len(secret) > MAX_SECRET_CHARS:
            raise WebhookSecretUnusable(
                f"{config}: [[alarms.webhook]].secret_file {file} has {len(secret)} characters, limit"
                f" {MAX_SECRET_CHARS}; it must hold one secret and nothing else"
            )
        return secret


class AlarmsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[alarms]`: where alarms are kept, so that a restart neither forgets nor repeats them, and who is told.

    `file` is "" for none: then nothing is alarmed. `min_free_percent` is of the disk that holds the evidence log.
    """

    file: Annotated[str, msgspec.Meta(max_length=4096)] = "alarms.db"
    min_free_percent: Annotated[float, msgspec.Meta(ge=0, le=90)] = 20.0
    webhook: Annotated[list[WebhookTable], msgspec.Meta(max_length=MAX_WEBHOOKS)] = []


class CheckTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[check]]`: what the plan knows of points and no profile can.

    `capacity`: none of `points` counts more than `capacity_kw` allows. `pair`: two counters, main and check meter,
    rise alike. `sum`: all `points` but the last, the feeder, rise together as the last does. `commissioned`: no
    reading of `points` lies before `since`. `tolerance_percent` and `window_h` are for `pair` and `sum`.
    """

    kind: Literal["capacity", "pair", "sum", "commissioned"]
    points: Annotated[list[PointName], msgspec.Meta(min_length=1, max_length=200)]
    capacity_kw: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None
    tolerance_percent: Annotated[float, msgspec.Meta(gt=0, le=100)] = 2.0
    window_h: Annotated[float, msgspec.Meta(ge=1, le=24)] = 24.0
    since: datetime | None = None


def check_problems(checks: Sequence[CheckTable]) -> Iterator[str]:
    """What contradicts itself in `[[check]]`, a sentence each."""
    if len(checks) > MAX_CHECKS:
        yield f"there are {len(checks)} tables [[check]], limit {MAX_CHECKS}; give fewer"
    for k, one in enumerate(checks, 1):
        name = f"[[check]] number {k} ({one.kind})"
        if (one.kind == "capacity") != (one.capacity_kw is not None):
            yield f"{name}: capacity_kw belongs to kind capacity, and to that alone; correct it"
        if (one.kind == "commissioned") != (one.since is not None):
            yield f"{name}: since belongs to kind commissioned, and to that alone; correct it"
        if one.since is not None and one.since.tzinfo is None:
            yield f"{name}: since = {one.since.isoformat()} has no zone; write one such as 2026-04-01T00:00:00+07:00"
        if one.kind == "pair" and len(one.points) != 2:
            yield f"{name}: points has {len(one.points)} entries, a pair has 2; name main and check meter"
        if one.kind == "sum" and len(one.points) < 3:
            yield f"{name}: points has {len(one.points)} entries; name two inverters at least, and the feeder last"
        if len(set(one.points)) != len(one.points):
            yield f"{name}: a point is named twice; name each once"
