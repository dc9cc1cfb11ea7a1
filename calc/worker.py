"""The worker: every period of every registered project, computed from leaves into the ledger, and locked on demand."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from calc.calendar import Named, period_id, periods_of
from calc.compute import Prepared, compute_prepared, prepare
from calc.days import Days, days_of
from calc.issue import Keys, signed
from calc.lock import LockRefused, check_lock, check_logs_at, check_serial
from calc.methodologies.base import Methodology
from calc.methodologies.registry import find
from calc.project import Project, check_project, read_project
from calc.source import CutEvidence, ProjectSource
from hakari.errors import BadConfiguration, HakariError
from hakari.ledger.port import Ledger
from hakari.ledger.result import PeriodResult, decode, encode, sha256_of
from hakari.ledger.types import FINAL, PeriodRecord, ProjectRecord, State
from hakari.log.checkpoint import Checkpoint
from hakari.log.roster import Roster
from hakari.period import Period
from hakari.store.evidence import EvidenceLog
from hakari.store.view import ReadingsView

HOUR_MS = 3_600_000
END_OF_TIME_MS = 2**62
_ORDER: tuple[State, ...] = ("open", "closed", "submitted")

_log = logging.getLogger("hakari.calc")


class MethodologyChanged(BadConfiguration):
    """The installed methodology is not the one that a project was registered with."""


class Computed(NamedTuple):
    """A period computed from leaves: its result, the cut it rests on and whether that closes it, and its courses."""

    result: PeriodResult
    found: CutEvidence
    prepared: Prepared


class _Loaded(NamedTuple):
    project: Project
    methodology: Methodology
    source: ProjectSource


class Worker:
    """Computes into `ledger` from `log`; `grace_h` hours after its end a period is closed.

    With `with_days` the local days of every month that it computes, or finds locked since, wait in `days` by the
    period's id until they are taken from there.
    """

    def __init__(
        self, log: EvidenceLog, ledger: Ledger, roster: Roster, grace_h: int, *, with_days: bool = False
    ) -> None:
        self._log = log
        self._ledger = ledger
        self._roster = roster
        self._grace_ms = grace_h * HOUR_MS
        self._loaded: dict[str, _Loaded] = {}
        self._done: dict[str, tuple[object, ...]] = {}
        self._with_days = with_days
        self.days: dict[str, Days] = {}
        self._without: dict[str, tuple[object, ...]] = {}

    def compute_all(self, now_ms: int) -> list[PeriodRecord]:
        """Computes what changed and stores it; a project that cannot be computed is logged and passed over."""
        stored: list[PeriodRecord] = []
        after = ""
        while page := self._ledger.projects(after=after):
            for record in page:
                try:
                    stored += self.compute_project(record, now_ms)
                except HakariError as error:
                    _log.error("project %s is not computed: %s", record.project_id, error)
            after = page[-1].project_id
        return stored

    def compute_project(self, record: ProjectRecord, now_ms: int) -> list[PeriodRecord]:
        """Computes the project's months and years that changed; returns what was stored."""
        loaded = self._load(record)
        loaded.source.refresh()
        span = loaded.source.span()
        if span is None:
            self._tell_without(record, loaded)
            return []
        named = periods_of(*span, loaded.project.zone)
        final = self._final(record.project_id)
        stored = [self._compute_period(record, loaded, one, now_ms, final) for one in named]
        return [one for one in stored if one is not None]

    def forget(self, period_ids: Iterable[str]) -> None:
        """Computes these periods anew in the next round, as if they had never been: for days that were lost."""
        for identity in period_ids:
            self._done.pop(identity, None)

    def _final(self, project_id: str) -> set[str]:
        """Periods whose days are marked as locked; none where days are not wanted."""
        periods = self._ledger.periods(project_id) if self._with_days else []
        return {one.period_id for one in periods if one.state in FINAL}

    def _tell_without(self, record: ProjectRecord, loaded: _Loaded) -> None:
        """Logs why a project has no period, once for each state of its evidence."""
        key = (record.document_sha256, *loaded.source.cuts(END_OF_TIME_MS))
        if self._without.get(record.project_id) != key:
            self._without[record.project_id] = key
            _log.warning("%s: no period; %s", record.project_id, "; ".join(self._missing(loaded)))

    def _missing(self, loaded: _Loaded) -> list[str]:
        """What each edge and point of the project lacks; a point is looked for only once its edge has samples."""
        held = {edge_id for edge_id, _, size, _ in loaded.source.cuts(END_OF_TIME_MS) if size}
        named = {key.edge for key in self._roster.edges}
        missing = []
        for edge_id in loaded.project.edge_ids:
            if edge_id not in named:
                missing.append(f"edge {edge_id} is not in the roster")
            elif edge_id not in held:
                missing.append(f"edge {edge_id} has no leaves of an approved epoch")
        if missing:
            return missing
        evidence = loaded.source.at(END_OF_TIME_MS).evidence
        if evidence.configurations:
            points = [point.point for point in loaded.project.points if not evidence.facts[point.point]]
            missing = [f"point {point} is not in its edge's configuration" for point in points]
        return missing or ["its points have no reading yet"]

    def recompute(self, period: PeriodRecord) -> Computed:
        """The stored period's result as its leaves give it now."""
        record = self._ledger.project(period.project_id)
        if record is None:
            raise LockRefused(f"project {period.project_id} of period {period.period_id} is not registered")
        loaded = self._load(record)
        loaded.source.refresh()
        label = period.period_id.removeprefix(f"{period.project_id}-")
        return self._computed(loaded, Named(label, period.kind, Period(period.start_ms, period.end_ms)))

    def lock(self, period: PeriodRecord, view: ReadingsView, keys: Keys, now_ms: int) -> PeriodRecord:
        """Locks the period with a signed statement; LockRefused says what stands in the way."""
        computed = self.recompute(period)
        loaded = self._loaded[period.project_id]
        if period.state in FINAL:
            raise LockRefused(f"period {period.period_id} is {period.state}; a correction is a further version")
        reasons = [*computed.result.refusals]
        if not computed.found.closed:
            hours = self._grace_ms // HOUR_MS
            reasons.append(f"it is open: no leaf has a slot {hours} h after its end yet; wait for one")
        if reasons:
            raise LockRefused(f"period {period.period_id} cannot be locked: {'; '.join(reasons)}")
        evidence, cuts, _ = computed.found
        check_serial(keys.roster, self._ledger.periods(period.project_id))
        check_logs_at(cuts, self._log, keys.roster, loaded.project.edge_ids, period.end_ms)
        check_lock(loaded.project, loaded.methodology, evidence, cuts, view, computed.result)
        result = msgspec.structs.replace(computed.result, state="locked")
        statement = signed(result, cuts, self._log, keys).decode()
        return self._store_locked(period, result, statement, now_ms)

    def _store_locked(self, period: PeriodRecord, result: PeriodResult, statement: str, now_ms: int) -> PeriodRecord:
        for state in _ORDER[_ORDER.index(period.state) + 1 :]:
            self._ledger.advance(period.period_id, state)
        text = encode(result)
        locked = msgspec.structs.replace(
            period,
            state="locked",
            result_json=text,
            result_sha256=sha256_of(text),
            statement=statement,
            computed_ms=now_ms,
        )
        self._ledger.lock(locked)
        return locked

    def _load(self, record: ProjectRecord) -> _Loaded:
        known = self._loaded.get(record.project_id)
        if known is not None and known.project.sha256 == record.document_sha256:
            return known
        project = read_project(record.document.encode(), f"project {record.project_id}")
        methodology = find(record.methodology_code, record.methodology_version)
        if methodology.sha256 != record.methodology_sha256:
            raise MethodologyChanged(
                f"project {record.project_id} was registered with methodology content {record.methodology_sha256},"
                f" installed is {methodology.sha256}; install that one or register the project again"
            )
        check_project(project, methodology)
        loaded = _Loaded(project, methodology, ProjectSource(project, self._roster, self._log))
        self._loaded[record.project_id] = loaded
        return loaded

    def _computed(self, loaded: _Loaded, named: Named) -> Computed:
        found = loaded.source.at(named.period.end_ms + self._grace_ms)
        prepared = prepare(loaded.project, loaded.methodology, found.evidence)
        return Computed(compute_prepared(prepared, named.label, named.period), found, prepared)

    def _compute_period(
        self, record: ProjectRecord, loaded: _Loaded, named: Named, now_ms: int, final: Collection[str]
    ) -> PeriodRecord | None:
        """Stores the period where it changed; None where it did not, or is final."""
        identity = period_id(record.project_id, named.label)
        cuts = loaded.source.cuts(named.period.end_ms + self._grace_ms)
        key = (record.document_sha256, identity in final, *cuts)
        if self._done.get(identity) == key:
            return None
        stored = self._ledger.period(identity)
        if stored is not None and stored.state in FINAL:
            if self._with_days and named.kind == "month":
                # What was given to a log after it was locked lies behind its cut, as for the total.
                evidence = loaded.source.at_cuts(locked_cuts(decode(stored.result_json)))
                prepared = prepare(loaded.project, loaded.methodology, evidence)
                self.days[identity] = days_of(prepared, named.period, locked=True)
            self._done[identity] = key
            return None
        computed = self._computed(loaded, named)
        if self._with_days and named.kind == "month":
            self.days[identity] = days_of(computed.prepared, named.period, locked=False)
        self._done[identity] = key
        text = encode(computed.result)
        state: State = "closed" if computed.found.closed else "open"
        if stored is not None:
            state = max(state, stored.state, key=_ORDER.index)
            if (stored.result_json, stored.state) == (text, state):
                return None
        return self._put(record, named, (state, text), now_ms)

    def _put(self, record: ProjectRecord, named: Named, computed: tuple[State, str], now_ms: int) -> PeriodRecord:
        state, text = computed
        period = PeriodRecord(
            period_id=period_id(record.project_id, named.label),
            project_id=record.project_id,
            kind=named.kind,
            start_ms=named.period.start_ms,
            end_ms=named.period.end_ms,
            zone=record.zone,
            version=1,
            state=state,
            result_json=text,
            result_sha256=sha256_of(text),
            statement="",
            supersedes=None,
            computed_ms=now_ms,
        )
        self._ledger.put_period(period)
        return period


def locked_cuts(result: PeriodResult) -> list[Checkpoint]:
    """The cuts that a stored result names."""
    return [Checkpoint.parse(f"{cut.origin}\n{cut.size}\n{cut.root}\n") for cut in result.cuts]
