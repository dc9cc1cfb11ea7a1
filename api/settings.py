"""Settings of the API: one TOML file, `api.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from hakari.errors import BadConfiguration
from hakari.influxdb import InfluxSettings, view_problem
from hakari.postgres import PostgresSettings, evidence_problem
from hakari.settings import beside, load
from hakari.store.ledger_sql import url_beside

ROOM = "api"
MAX_FILE_CHARS = 255


class ApiSettingsInvalid(BadConfiguration):
    """The settings of the API contradict themselves."""


class ApiTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[api]`: where to listen and what to read. Relative paths lie beside the file; port 0 takes a free port.

    `evidence` is the evidence log's file; it is left out where the table `[postgresql]` is given. `view` is the file of
    the embedded readings view; it is left out where the table `[influxdb]` is given.
    `owner_key` is the text of the owner's public key or its .pub file; the roster that it signed says whose
    statements are believed. With `quarantine_decisions` operators' tokens may ask for release or discard of
    quarantined messages: the API then needs the right to write to the evidence log's record of decisions.
    """

    ledger: str
    roster_file: str
    owner_key: str
    evidence: str = ""
    view: str = ""
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8420
    pack_dir: str | None = None
    quarantine_decisions: bool = False


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    api: ApiTable
    influxdb: InfluxSettings | None = None
    postgresql: PostgresSettings | None = None


def read(path: Path, environ: Mapping[str, str]) -> ApiSettings:
    """The settings in `path`, overridden by `HAKARI_API__API__…`, with the paths of `[api]` made absolute.

    Errors: hakari.settings.SettingsRefused and ApiSettingsInvalid, one sentence each.
    """
    settings = load(path, ApiSettings, ROOM, environ)
    table = settings.api
    problem = evidence_problem(ROOM, table.evidence, settings.postgresql)
    if problem := problem or view_problem(ROOM, table.view, settings.influxdb):
        raise ApiSettingsInvalid(f"{path}: {problem}")
    absolute = msgspec.structs.replace(
        table,
        ledger=url_beside(path, table.ledger),
        evidence=str(beside(path, table.evidence)) if table.evidence else "",
        view=str(beside(path, table.view)) if table.view else "",
        roster_file=str(beside(path, table.roster_file)),
        owner_key=_key_or_file(path, table.owner_key),
        pack_dir=None if table.pack_dir is None else str(beside(path, table.pack_dir)),
    )
    return msgspec.structs.replace(settings, api=absolute)


def _key_or_file(path: Path, given: str) -> str:
    """The path of the key file that `given` names beside the settings, or `given` where there is none."""
    file = beside(path, given)
    return str(file) if len(given) <= MAX_FILE_CHARS and file.is_file() else given
