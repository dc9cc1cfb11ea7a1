"""Settings of the room ingest: `ingest.toml`, overridden by `HAKARI_INGEST__SECTION__KEY`.

Paths stay as written; they stand against the file's folder. Secrets are in files that the settings name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hakari import settings
from hakari.errors import BadConfiguration
from hakari.log.note import NoteInvalid, VerifierKey
from hakari.log.roster import Roster, RosterInvalid, open_roster
from hakari.mqtt import BrokerSettings
from hakari.names import BadName, check_address, check_host, check_namespace

ROOM = "ingest"
MAX_ROSTER_BYTES = 16 * 1024 * 1024

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class IngestSettingsInvalid(BadConfiguration):
    """The settings of ingest contradict themselves, or a file that they name cannot be used."""


class IngestTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[ingest]`: the namespace, the two stores, the cosigning key, and whose roster is trusted.

    `cosigner_name` is the name of the key in `cosigner_key_file` as the roster has it, `owner_key` the text of
    the owner's public key.
    """

    namespace: Text
    evidence: Text
    view: Text
    cosigner_name: Text
    cosigner_key_file: Text
    owner_key: Text
    roster_file: Text


class ClockTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[clock]`: the machine's clock, or a lockstep driver at `address` (host:port)."""

    source: Literal["system", "lockstep"] = "system"
    address: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    ingest: IngestTable
    broker: BrokerSettings
    clock: ClockTable = ClockTable()


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
    if bool(given.clock.address) != (given.clock.source == "lockstep"):
        raise IngestSettingsInvalid(
            f"{path}: [clock].address = {given.clock.address!r} does not go with source {given.clock.source!r};"
            " give the driver's host:port with source lockstep, and only then"
        )
    try:
        check_host(given.broker.host, "[broker].host")
        if given.clock.address:
            check_address(given.clock.address, "[clock].address")
    except BadName as error:
        raise IngestSettingsInvalid(f"{path}: {error}") from error
    return given


def load_roster(path: Path, table: IngestTable) -> Roster:
    """The roster that the settings file `path` names, signed by its owner key and made for its namespace."""
    file = settings.beside(path, table.roster_file)
    try:
        with file.open("rb") as opened:
            note = opened.read(MAX_ROSTER_BYTES + 1)
    except OSError as error:
        raise IngestSettingsInvalid(f"{file}: cannot be read ({error.strerror}); check [ingest].roster_file") from error
    if len(note) > MAX_ROSTER_BYTES:
        raise IngestSettingsInvalid(f"{file}: is larger than {MAX_ROSTER_BYTES} bytes; check [ingest].roster_file")
    try:
        roster = open_roster(note, VerifierKey.parse(table.owner_key))
    except RosterInvalid as error:
        raise IngestSettingsInvalid(f"{file}: {error}; check [ingest].roster_file and [ingest].owner_key") from error
    if roster.namespace != table.namespace:
        raise IngestSettingsInvalid(
            f"{file}: is the roster of {roster.namespace}, but [ingest].namespace is {table.namespace}; exchange one"
        )
    return roster
