"""The calc process and what its commands do. Names the adapters; nothing else in this room does."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calc.daily import Daily
from calc.issue import Keys, Packed, pack_to, signed
from calc.methodologies.registry import find
from calc.project import MAX_PROJECT_BYTES, check_project, read_project
from calc.settings import CalcSettingsInvalid, Settings, load_settings
from calc.worker import Worker, locked_cuts
from hakari import logs
from hakari.alive import Alive
from hakari.errors import BadConfiguration
from hakari.ledger.result import PeriodResult, decode
from hakari.ledger.types import FINAL, PeriodRecord, ProjectRecord
from hakari.log import keyfile, rosterfile
from hakari.log.note import SigningKey, VerifierKey
from hakari.log.publicfile import verifier_of
from hakari.log.roster import Roster
from hakari.log.rosterfile import Signed, Watched
from hakari.settings import beside
from hakari.store.evidence import EvidenceLog
from hakari.store.ledger_sql import SqlLedger, url_beside
from hakari.store.opened import open_evidence, open_operations, open_view

_log = logging.getLogger("hakari.calc")


class NotRegistered(BadConfiguration):
    """The ledger has no project or period of that id."""


class Room:
    """Everything that a command of this room needs, opened when first used and closed together."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.settings: Settings = load_settings(config, os.environ)
        self.ledger = SqlLedger(url_beside(config, self.settings.calc.ledger))
        self.ledger.migrate()
        self._evidence: EvidenceLog | None = None
        self._daily: Daily | None = None
        self._signed: Signed | None = None

    @property
    def owner(self) -> VerifierKey:
        """The owner's public key."""
        given = self.settings.calc.owner_key
        file = beside(self.config, given)
        return verifier_of(str(file) if len(given) < 256 and file.is_file() else given)

    @property
    def roster_file(self) -> Path:
        """Where the roster is."""
        return beside(self.config, self.settings.calc.roster_file)

    @property
    def signed(self) -> Signed:
        """The roster and its note, read once: a command rests on one roster from its start to its end."""
        if self._signed is None:
            self._signed = rosterfile.read_signed(self.roster_file, self.owner)
        return self._signed

    @property
    def evidence(self) -> EvidenceLog:
        """The evidence log, only read."""
        if self._evidence is None:
            given = self.settings
            self._evidence = open_evidence(self.config, given.calc.evidence, given.postgresql, read_only=True)
        return self._evidence

    @property
    def keys(self) -> Keys:
        """Statement key, roster and the cosigners that it names."""
        table = self.settings.calc
        statement = SigningKey(table.statement_key_name, self._private(table.statement_key_file))
        note, roster = self.signed
        if statement.verifier not in roster.statement_verifiers():
            raise CalcSettingsInvalid(
                f"{self.config}: the roster has no statement key {statement.verifier}; have the owner add it"
            )
        return Keys(statement, note, roster)

    def worker(self, roster: Roster | None = None) -> Worker:
        """A worker over evidence and ledger that trusts `roster`, by default the one on disk."""
        with_days = self.settings.influxdb is not None
        trusted = roster or self.signed.roster
        return Worker(self.evidence, self.ledger, trusted, self.settings.calc.grace_h, with_days=with_days)

    @property
    def daily(self) -> Daily | None:
        """Where local days go: to InfluxDB, or nowhere."""
        if self._daily is None and self.settings.influxdb is not None:
            self._daily = Daily(open_operations(self.config, self.settings.influxdb))
        return self._daily

    def period(self, period_id: str) -> PeriodRecord:
        """The period of that id; NotRegistered otherwise."""
        found = self.ledger.period(period_id)
        if found is None:
            raise NotRegistered(f"period {period_id!r} is not in the ledger; see: hakari period list")
        return found

    def close(self) -> None:
        """Releases what was opened."""
        self.ledger.close()
        if self._evidence is not None:
            self._evidence.close()
        if self._daily is not None:
            self._daily.close()

    def _private(self, file: str) -> Ed25519PrivateKey:
        return keyfile.load(beside(self.config, file))


@contextmanager
def room(config: Path) -> Iterator[Room]:
    """The room of a settings file, closed at the end."""
    opened = Room(config)
    try:
        yield opened
    finally:
        opened.close()


def now_ms() -> int:
    """The machine's time, UTC milliseconds: when something was computed, never what was measured."""
    return time.time_ns() // 1_000_000


def compute_once(config: Path) -> list[PeriodRecord]:
    """Computes every project once and returns every stored period."""
    with room(config) as opened:
        daily, worker = opened.daily, opened.worker()
        worker.compute_all(now_ms())
        if daily is not None:
            daily.write(worker.days)
        return all_periods(opened)


def all_periods(opened: Room, project_id: str | None = None) -> list[PeriodRecord]:
    """The periods of one project, or of all."""
    projects = [project_id] if project_id else [project.project_id for project in opened.ledger.projects()]
    return [period for project in projects for period in opened.ledger.periods(project)]


def run(config: Path) -> None:
    """Computes until SIGTERM or SIGINT."""
    logs.set_up(os.environ)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    with room(config) as opened:
        watched = Watched(opened.roster_file, opened.owner)
        roster = watched.read()
        worker, daily = opened.worker(roster), opened.daily
        file = opened.settings.calc.alive_file
        alive = Alive(beside(config, file) if file else None)
        alive.beat()
        while not stop.is_set():
            newer = watched.again(roster)
            if newer is not roster:
                _log.info("roster with serial %s is in force", newer.serial)
                worker, roster = opened.worker(newer), newer
            try:
                if daily is not None:
                    worker.forget(daily.lost())
                for period in worker.compute_all(now_ms()):
                    _log.info("computed %s (%s)", period.period_id, period.state)
                if daily is not None:
                    daily.write(worker.days)
            except Exception:  # noqa: BLE001
                # The one supervised loop of this process: what is computed can be computed again.
                _log.exception("computing failed; trying again in %s s", opened.settings.calc.poll_s)
                alive.beat("its last round of computing failed; look at its log")
            else:
                alive.beat()
            stop.wait(opened.settings.calc.poll_s)
        alive.end()


def add_project(config: Path, file: Path) -> ProjectRecord:
    """Registers the project in `file`, or its new revision."""
    try:
        with file.open("rb") as opened_file:
            content = opened_file.read(MAX_PROJECT_BYTES + 1)
    except OSError as error:
        raise NotRegistered(f"project file {file} cannot be read: {error.strerror}; check the path given") from error
    project = read_project(content, str(file))
    identity = project.file.project
    methodology = find(identity.methodology, identity.version)
    check_project(project, methodology)
    record = ProjectRecord(
        project_id=identity.id,
        name=identity.name,
        country=identity.country,
        zone=identity.zone,
        namespace=identity.namespace,
        methodology_code=methodology.data.code,
        methodology_version=methodology.data.version,
        methodology_sha256=methodology.sha256,
        document=project.document,
        document_sha256=project.sha256,
        registered_ms=now_ms(),
    )
    with room(config) as opened:
        opened.ledger.put_project(record)
    return record


def lock_period(config: Path, period_id: str) -> PeriodRecord:
    """Locks a period with a signed statement."""
    with room(config) as opened:
        period = opened.period(period_id)
        view = open_view(config, opened.settings.calc.view, opened.settings.influxdb, read_only=True)
        try:
            return opened.worker().lock(period, view, opened.keys, now_ms())
        finally:
            view.close()


def write_pack_of(config: Path, period_id: str, out: Path | None) -> tuple[Path, str, PeriodResult]:
    """Writes the pack of a period as the ledger has it; returns its path, SHA-256 (hex) and result.

    The statement of a locked period is the stored one; any other is signed now, as provisional.
    """
    with room(config) as opened:
        period = opened.period(period_id)
        result = decode(period.result_json)
        revisions = opened.ledger.revisions(period.project_id)
        documents = [one.document for one in revisions if one.document_sha256 == result.project_sha256]
        if not documents:
            raise NotRegistered(f"ledger has no revision {result.project_sha256} of project {period.project_id}")
        cuts, keys = locked_cuts(result), opened.keys
        final = period.state in FINAL
        statement = period.statement.encode() if final else signed(result, cuts, opened.evidence, keys)
        path = out if out is not None else Path(f"{period_id}.hakari")
        packed = Packed(result, documents[-1], statement, cuts)
        return path, pack_to(path, packed, opened.evidence, keys), result
