"""Settings of the API: one TOML file, `api.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from hakari.settings import beside, load
from hakari.store.ledger_sql import url_beside


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to listen and what to read. Relative paths lie beside the file; port 0 takes a free port."""

    ledger: str
    evidence: str
    view: str
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8420
    pack_dir: str | None = None


def read(path: Path, environ: Mapping[str, str]) -> ApiSettings:
    """The settings in `path`, overridden by `HAKARI_API__…`, with every path made absolute."""
    settings = load(path, ApiSettings, "api", environ)
    return msgspec.structs.replace(
        settings,
        ledger=url_beside(path, settings.ledger),
        evidence=str(beside(path, settings.evidence)),
        view=str(beside(path, settings.view)),
        pack_dir=None if settings.pack_dir is None else str(beside(path, settings.pack_dir)),
    )
