"""Settings of the room ingest: `ingest.toml`, overridden by `HAKARI_INGEST__SECTION__KEY`.

Paths stay as written; they stand against the file's folder. Secrets are in files that the settings name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from hakari import settings
from hakari.errors import BadConfiguration
from hakari.influxdb import InfluxSettings, view_problem
from hakari.lockstep import ClockTable
from hakari.log.note import NoteInvalid, VerifierKey
from hakari.log.roster import Roster
from hakari.log.rosterfile import RosterFileInvalid, read_signed
from hakari.mqtt import BrokerSettings
from hakari.names import BadName, check_address, check_host, check_namespace
from hakari.postgres import PostgresSettings, evidence_problem
from ingest.receive.shards import ALL, Shards, ShardsInvalid
from ingest.sources.settings import OwnLogTable, Source, source_problems
from ingest.watch.alarm_settings import AlarmsTable, CheckTable, check_problems

ROOM = "ingest"

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
MaybeText = Annotated[str, msgspec.Meta(max_length=4096)]


class IngestSettingsInvalid(BadConfiguration):
    """The settings of ingest contradict themselves, or a file that they name cannot be used."""


class IngestTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[ingest]`: the namespace, the stores, the cosigning key, and whose roster is trusted.

    `evidence` is the evidence log's file; it is left out where the table `[postgresql]` is given. `view` is the file of
    the embedded readings view; it is left out where the table `[influxdb]` is given.
    `cosigner_name` is the name of the key in `cosigner_key_file` as the roster has it, `owner_key` the text of
    the owner's public key. `alive_file` is rewritten while the room works, for `hakari ingest status`.
    `shards` are those whose edges this worker takes: "all" with one session at the broker, else two hex digits and
    ranges of them, as in "00-3f,80", with one session a shard (client id and user `ingest-00` and so on). `observe` is
    host:port for /metrics, /healthz and /readyz, on an address that only supervisors reach; "" for none.
    `outgoing` is the folder whose signed requests are sent to edges; "" sends none.
    """

    namespace: Text
    cosigner_name: Text
    cosigner_key_file: Text
    owner_key: Text
    roster_file: Text
    evidence: MaybeText = ""
    view: MaybeText = ""
    alive_file: MaybeText = ""
    shards: Text = ALL
    observe: MaybeText = ""
    outgoing: MaybeText = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    ingest: IngestTable
    broker: BrokerSettings
    clock: ClockTable = ClockTable()
    influxdb: InfluxSettings | None = None
    postgresql: PostgresSettings | None = None
    alarms: AlarmsTable = AlarmsTable()
    check: list[CheckTable] = []
    own_log: list[OwnLogTable] = []
    source: list[Source] = []


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in `path`, free of contradictions; the files that they name need not exist yet.

    Errors: SettingsRefused and IngestSettingsInvalid, one sentence each.
    """
    given = settings.load(path, Settings, ROOM, environ)
    try:
        check_namespace(given.ingest.namespace)
        VerifierKey.parse(given.ingest.owner_key)
    except BadName as error:
        raise IngestSettingsInvalid(f"{path}: [ingest].{error}") from error
    except NoteInvalid as error:
        raise IngestSettingsInvalid(f"{path}: [ingest].owner_key is not a public key: {error}") from error
    problem = evidence_problem(ROOM, given.ingest.evidence, given.postgresql)
    if problem := problem or given.clock.problem() or view_problem(ROOM, given.ingest.view, given.influxdb):
        raise IngestSettingsInvalid(f"{path}: {problem}")
    if problem := next(source_problems(given.own_log, given.source), ""):
        raise IngestSettingsInvalid(f"{path}: {problem}")
    for wrong in check_problems(given.check):
        raise IngestSettingsInvalid(f"{path}: {wrong}")
    try:
        check_host(given.broker.host, "[broker].host")
        if given.ingest.observe:
            check_address(given.ingest.observe, "[ingest].observe")
        Shards(given.ingest.shards)
    except ShardsInvalid as error:
        raise IngestSettingsInvalid(f"{path}: [ingest].{error}") from error
    except BadName as error:
        raise IngestSettingsInvalid(f"{path}: {error}") from error
    return given


def load_roster(path: Path, table: IngestTable) -> Roster:
    """The roster that the settings file `path` names, signed by its owner key and made for its namespace."""
    file = settings.beside(path, table.roster_file)
    try:
        return read_signed(file, VerifierKey.parse(table.owner_key), table.namespace).roster
    except RosterFileInvalid as error:
        raise IngestSettingsInvalid(
            f"{error}; check [ingest].roster_file, [ingest].owner_key and [ingest].namespace"
        ) from error
