"""Settings of the room calc: `calc.toml`, overridden by `HAKARI_CALC__SECTION__KEY`.

Paths stay as written; they stand against the file's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from hakari import settings
from hakari.errors import BadConfiguration
from hakari.influxdb import InfluxSettings, view_problem
from hakari.postgres import PostgresSettings, evidence_problem

ROOM = "calc"

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
MaybeText = Annotated[str, msgspec.Meta(max_length=4096)]


class CalcSettingsInvalid(BadConfiguration):
    """The settings of calc contradict themselves, or a file that they name cannot be used."""


class CalcTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[calc]`: stores, keys and rhythm.

    `evidence` is the evidence log's file; it is left out where the table `[postgresql]` is given. `view` is the file of
    the embedded readings view; it is left out where the table `[influxdb]` is given.
    `owner_key` is the text of the owner's public key or its .pub file. A period is closed once every edge has a
    slot `grace_h` hours after its end. `alive_file` is rewritten while the room works, for `hakari calc status`.
    """

    ledger: Text
    roster_file: Text
    owner_key: Text
    statement_key_file: Text
    statement_key_name: Text
    evidence: MaybeText = ""
    view: MaybeText = ""
    alive_file: MaybeText = ""
    grace_h: Annotated[int, msgspec.Meta(ge=0, le=8784)] = 24
    poll_s: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] = 10.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    calc: CalcTable
    influxdb: InfluxSettings | None = None
    postgresql: PostgresSettings | None = None


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in `path`; a BadConfiguration names the key that is wrong."""
    given = settings.load(path, Settings, ROOM, environ)
    problem = evidence_problem(ROOM, given.calc.evidence, given.postgresql)
    if problem := problem or view_problem(ROOM, given.calc.view, given.influxdb):
        raise CalcSettingsInvalid(f"{path}: {problem}")
    return given
