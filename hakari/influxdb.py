"""Where InfluxDB is and who we are to it: the table `[influxdb]` of every room that reads or writes there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hakari.errors import BadConfiguration
from hakari.logs import guard
from hakari.settings import beside

MAX_TOKEN_CHARS = 4096

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class InfluxTokenUnusable(BadConfiguration):
    """The token's file cannot be read, or does not hold one token."""


class InfluxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[influxdb]`: the server, its organisation and the bucket of the readings view.

    The token is read from a file, never written in a configuration. `timeout_s` is for one request. `compress` sends
    lines as gzip: right over a network; on the same machine it costs ingest a third of its speed for nothing.
    `endpoint` is which server answers at `url`: "influxdb2", or "influxdb3", of which `bucket` names the database.
    """

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=500)]
    token_file: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    org: Name = "hakari"
    bucket: Name = "hakari"
    timeout_s: Annotated[float, msgspec.Meta(ge=1, le=600)] = 30.0
    compress: bool = True
    endpoint: Literal["influxdb2", "influxdb3"] = "influxdb2"

    def token(self, config: Path) -> str:
        """The token in the file that the settings file `config` names; InfluxTokenUnusable otherwise."""
        file = beside(config, self.token_file)
        try:
            token = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InfluxTokenUnusable(
                f"{config}: [influxdb].token_file {file} cannot be read ({error}); write the token into it"
            ) from error
        if not token or len(token) > MAX_TOKEN_CHARS or any(c.isspace() for c in token):
            raise InfluxTokenUnusable(f"{config}: [influxdb].token_file {file} must hold one token and nothing else")
        return guard(token)


def view_problem(room: str, view: str, influxdb: InfluxSettings | None) -> str:
    """Why a room's settings do not say where the readings view is, "" when they do."""
    if view and influxdb is not None:
        return f"[{room}].view and the table [influxdb] both say where the readings view is; keep one"
    if not view and influxdb is None:
        return f"[{room}].view is missing; give the file of the embedded view, or a table [influxdb]"
    return ""
