"""Settings of the API: one TOML file, `api.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from hakari.settings import beside, load
from hakari.store.ledger_sql import url_beside

MAX_FILE_CHARS = 255


class ApiTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[api]`: where to listen and what to read. Relative paths lie beside the file; port 0 takes a free port.

    `owner_key` is the text of the owner's public key or its .pub file; the roster that it signed says whose
    statements are believed.
    """

    ledger: str
    evidence: str
    view: str
    roster_file: str
    owner_key: str
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8420
    pack_dir: str | None = None


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    api: ApiTable


def read(path: Path, environ: Mapping[str, str]) -> ApiTable:
    """The settings in `path`, overridden by `HAKARI_API__API__…`, with every path made absolute."""
    settings = load(path, ApiSettings, "api", environ).api
    return msgspec.structs.replace(
        settings,
        ledger=url_beside(path, settings.ledger),
        evidence=str(beside(path, settings.evidence)),
        view=str(beside(path, settings.view)),
        roster_file=str(beside(path, settings.roster_file)),
        owner_key=_key_or_file(path, settings.owner_key),
        pack_dir=None if settings.pack_dir is None else str(beside(path, settings.pack_dir)),
    )


def _key_or_file(path: Path, given: str) -> str:
    """The path of the key file that `given` names beside the settings, or `given` where there is none."""
    file = beside(path, given)
    return str(file) if len(given) <= MAX_FILE_CHARS and file.is_file() else given
