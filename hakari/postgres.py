"""Where PostgreSQL is and who we are to it: the table `[postgresql]` of every room that reads or writes evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hakari.errors import BadConfiguration
from hakari.logs import guard
from hakari.settings import beside

MAX_PASSWORD_CHARS = 1024

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,62}$")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
MaybeText = Annotated[str, msgspec.Meta(max_length=4096)]


class PostgresPasswordUnusable(BadConfiguration):
    """The password's file cannot be read, or does not hold one password."""


class PostgresSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[postgresql]`: the server, the database and the schema of the evidence log, which its first writer makes.

    `host` is a name, an address or the folder of a Unix socket. The password is read from a file, never written in a
    configuration; it is left out where the server knows us otherwise. `tls` "verify" believes only a server whose
    certificate is made for `host` and signed by `ca_file` ("system": by the machine's authorities); "off" is for a
    server on the same machine. `timeout_s` is for connecting and for one statement.
    """

    host: Text
    database: Name
    user: Name
    password_file: MaybeText = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 5432
    schema: Annotated[str, msgspec.Meta(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "hakari"
    tls: Literal["verify", "off"] = "verify"
    ca_file: Text = "system"
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30

    def password(self, config: Path) -> str:
        """The password in the file that the settings file `config` names, "" where none is; else a clear error."""
        if not self.password_file:
            return ""
        file = beside(config, self.password_file)
        try:
            password = file.read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise PostgresPasswordUnusable(
                f"{config}: [postgresql].password_file {file} cannot be read ({error}); write the password into it"
            ) from error
        if not password or len(password) > MAX_PASSWORD_CHARS or "\n" in password or "\0" in password:
            raise PostgresPasswordUnusable(
                f"{config}: [postgresql].password_file {file} must hold one password in one line and nothing else"
            )
        return guard(password)


def evidence_problem(room: str, evidence: str, postgresql: PostgresSettings | None) -> str:
    """Why a room's settings do not say where the evidence log is, "" when they do."""
    if evidence and postgresql is not None:
        return f"[{room}].evidence and the table [postgresql] both say where the evidence log is; keep one"
    if not evidence and postgresql is None:
        return f"[{room}].evidence is missing; give the evidence log's file, or a table [postgresql]"
    return ""
