"""A real PostgreSQL in a folder of its own: started, killed, asked, and altered as anybody could alter it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import psycopg

from hakari.postgres import PostgresSettings
from simulate.layout import free_ports
from simulate.processes import tail

DATABASE = "hakari"
USER = "hakari"
PASSWORD = "password-of-the-tests"
START_LIMIT_S = 60.0
UNPRIVILEGED = ("postgres", "nobody")


class PostgresServer:
    """One server; leaving the context stops it and deletes its folder. It runs as nobody in particular."""

    def __init__(self, programs: Path, options: tuple[str, ...] = ()) -> None:
        self._programs = programs
        self._options = options
        self.folder = Path(tempfile.mkdtemp(prefix="hakari-postgres-"))
        self.port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None
        self._schemas = 0

    def __enter__(self) -> Self:
        user = _unprivileged()
        if user is not None:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        password = self.folder / "password"
        password.write_text(f"{PASSWORD}\n")
        password.chmod(0o644)
        subprocess.run(
            [*self._as_user("initdb"), "-D", self._data, "-U", USER, "--auth=scram-sha-256", "-E", "UTF8", "--no-sync",
             "--locale=C", f"--pwfile={password}"], check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self.start()
        with self.connect("postgres") as db:
            db.execute(f"CREATE DATABASE {DATABASE}")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Starts it and returns once it answers."""
        log = self.folder / "log"
        options = (
            "listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=", "max_connections=60",
            "shared_buffers=16MB", *self._options,
        )  # fmt: skip
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*self._as_user("postgres"), "-D", self._data, *(word for one in options for word in ("-c", one))],
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        deadline_s = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self.connect("postgres").close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline_s or self._process.poll() is not None:
                    raise AssertionError(f"PostgreSQL does not start: {error}\n{tail(log)}") from error
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """SIGKILL to all its processes, as a power cut would; it may then be started again."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        # A killed server's children, in groups of their own, end when they see that it is gone.
        (Path(self._data) / "postmaster.pid").unlink(missing_ok=True)

    def settings(self, folder: Path, schema: str = "") -> PostgresSettings:
        """`[postgresql]` for a schema here, a new one by default; the password goes into `folder`."""
        file = folder / "postgres.password"
        file.write_text(f"{PASSWORD}\n")
        self._schemas += 1
        return PostgresSettings(
            host="127.0.0.1", port=self.port, database=DATABASE, user=USER, password_file=str(file),
            schema=schema or f"s{os.getpid()}_{self._schemas}", tls="off",
        )  # fmt: skip

    def table(self, given: PostgresSettings) -> str:
        """The same as TOML."""
        return (
            f'[postgresql]\nhost = "{given.host}"\nport = {given.port}\ndatabase = "{given.database}"\n'
            f'user = "{given.user}"\npassword_file = "{given.password_file}"\nschema = "{given.schema}"\ntls = "off"\n'
        )

    def connect(self, database: str = DATABASE) -> psycopg.Connection[Any]:
        """A connection of another hand."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=USER, password=PASSWORD, autocommit=True,
            connect_timeout=5,
        )  # fmt: skip

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _as_user(self, program: str) -> list[str]:
        user = _unprivileged()
        path = str(self._programs / program)
        if user is None:
            return [path]
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", path]


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom the server runs as where we are root, which it refuses."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return next(known[name] for name in UNPRIVILEGED if name in known)
