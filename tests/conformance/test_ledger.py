"""Every adapter of the ledger keeps what it promises; one list of adapters, one suite."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hakari.ledger.port import MAX_LIST, Ledger, LedgerRefused, PeriodKey
from hakari.ledger.types import BadId, PeriodRecord, ProjectRecord, State, TokenRecord
from hakari.store.ledger_sql import SqlLedger

JULY = (1_467_331_200_000, 1_470_009_600_000)
AUGUST = (1_470_009_600_000, 1_472_688_000_000)
BEFORE_LOCKED: tuple[State, ...] = ("open", "closed", "submitted")


def sqlite(folder: Path) -> Ledger:
    return SqlLedger(f"sqlite:///{folder / 'ledger.sqlite'}")


@pytest.fixture(params=[sqlite], ids=["sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    adapter: Callable[[Path], Ledger] = request.param
    ledger = adapter(tmp_path)
    ledger.migrate()
    yield ledger
    ledger.close()


def project(project_id: str = "vn017", document: str = "name = 'one'") -> ProjectRecord:
    return ProjectRecord(
        project_id=project_id,
        name="=cmd|'; DROP TABLE periods; --",
        country="VN",
        zone="Asia/Ho_Chi_Minh",
        namespace="plant.example",
        methodology_code="PV",
        methodology_version="1.0",
        methodology_sha256="aa" * 32,
        document=document,
        document_sha256=document.encode().hex(),
        registered_ms=1,
    )


def period(period_id: str = "vn017-2016-07", span: tuple[int, int] = JULY, **changes: object) -> PeriodRecord:
    made = PeriodRecord(
        period_id=period_id,
        project_id="vn017",
        kind="month",
        start_ms=span[0],
        end_ms=span[1],
        zone="Asia/Ho_Chi_Minh",
        version=1,
        state="open",
        result_json='{"reductions_tco2":"1.5"}\n',
        result_sha256="bb" * 32,
        statement="",
        supersedes=None,
        computed_ms=2,
    )
    return msgspec.structs.replace(made, **changes)


def lock(ledger: Ledger, record: PeriodRecord) -> PeriodRecord:
    ledger.put_project(project())
    if record.supersedes is None:
        ledger.put_period(msgspec.structs.replace(record, state="submitted"))
    locked = msgspec.structs.replace(record, state="locked", statement="signed\n", result_json="{}\n")
    ledger.lock(locked)
    return locked


def test_a_project_comes_back_as_it_was_and_keeps_every_revision(opened: Ledger) -> None:
    first, second = project(), project(document="name = 'two'")
    opened.put_project(first)
    opened.put_project(msgspec.structs.replace(first, registered_ms=9))
    opened.put_project(second)
    assert opened.project("vn017") == second
    assert opened.revisions("vn017") == [first, second]
    assert opened.project("vn018") is None


def test_projects_are_paged_and_limited_to_those_asked_for(opened: Ledger) -> None:
    for name in ("c", "a", "b"):
        opened.put_project(project(name))
        opened.put_project(project(name, document="second"))
    assert [one.project_id for one in opened.projects()] == ["a", "b", "c"]
    assert [one.document for one in opened.projects(limit=1)] == ["second"]
    assert [one.project_id for one in opened.projects(after="a", limit=1)] == ["b"]
    assert [one.project_id for one in opened.projects(among={"c", "zz"})] == ["c"]
    assert opened.projects(among=[]) == []


@pytest.mark.parametrize("limit", [0, -1, MAX_LIST + 1])
def test_a_listing_has_a_limit(opened: Ledger, limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        opened.projects(limit=limit)


@pytest.mark.parametrize("bad", ["", "../x", "a/b", "a b", "-a", "é", "a" * 101, "a\n", "a\x00"])
def test_an_id_that_cannot_stand_in_an_address_is_refused(opened: Ledger, bad: str) -> None:
    with pytest.raises(BadId):
        opened.put_project(project(bad))
    opened.put_project(project())
    with pytest.raises(BadId):
        opened.put_period(period(bad))


def test_a_period_is_computed_again_until_it_is_locked(opened: Ledger) -> None:
    opened.put_project(project())
    opened.put_period(period())
    again = period(result_json="{}\n", state="closed", computed_ms=3)
    opened.put_period(again)
    assert opened.period("vn017-2016-07") == again
    with pytest.raises(LedgerRefused, match="closed and cannot become open"):
        opened.put_period(period())
    assert opened.advance("vn017-2016-07", "submitted").state == "submitted"


def test_a_locked_period_refuses_every_change(opened: Ledger) -> None:
    locked = lock(opened, period())
    for state in BEFORE_LOCKED:
        with pytest.raises(LedgerRefused):
            opened.put_period(period(state=state))
    with pytest.raises(LedgerRefused, match="only a submitted one"):
        opened.lock(msgspec.structs.replace(locked, result_json='{"more":1}\n'))
    with pytest.raises(LedgerRefused, match="verified"):
        opened.advance(locked.period_id, "issued")
    assert opened.period(locked.period_id) == locked
    assert opened.advance(locked.period_id, "verified") == msgspec.structs.replace(locked, state="verified")
    assert opened.advance(locked.period_id, "issued").statement == "signed\n"
    with pytest.raises(LedgerRefused, match="can become None"):
        opened.advance(locked.period_id, "verified")


def test_locking_needs_submission_and_a_statement(opened: Ledger) -> None:
    opened.put_project(project())
    opened.put_period(period())
    with pytest.raises(LedgerRefused, match="only a submitted one"):
        opened.lock(period(state="locked", statement="signed\n"))
    with pytest.raises(LedgerRefused, match="signed statement"):
        opened.lock(period(state="locked"))
    with pytest.raises(LedgerRefused, match="without a statement"):
        opened.put_period(period(statement="signed\n"))
    with pytest.raises(LedgerRefused, match="together with its statement"):
        opened.advance("vn017-2016-07", "locked")
    with pytest.raises(LedgerRefused, match="does not exist"):
        opened.lock(period("other", state="locked", statement="signed\n"))


@pytest.mark.parametrize(
    "changes",
    [
        {"span": (JULY[0], JULY[1] + 1)},
        {"version": 2, "supersedes": "vn017-2016-07"},
        {"kind": "custom"},
        {"zone": "UTC"},
    ],
)
def test_the_identity_of_a_period_never_changes(opened: Ledger, changes: dict[str, object]) -> None:
    opened.put_project(project())
    opened.put_period(period())
    with pytest.raises(LedgerRefused, match="stored with another"):
        opened.put_period(period(**changes))  # type: ignore[arg-type]


def test_one_span_has_each_version_once(opened: Ledger) -> None:
    opened.put_project(project())
    opened.put_period(period())
    with pytest.raises(LedgerRefused, match="exists"):
        opened.put_period(period("another-id"))
    with pytest.raises(LedgerRefused, match="not registered"):
        opened.put_period(period("x", project_id="unknown"))
    with pytest.raises(LedgerRefused, match="start before it ends"):
        opened.put_period(period("y", span=(JULY[0], JULY[0])))


def test_a_correction_is_a_further_version_beside_the_locked_one(opened: Ledger) -> None:
    locked = lock(opened, period())
    second = period("vn017-2016-07-v2", version=2, supersedes=locked.period_id)
    for wrong in (
        msgspec.structs.replace(second, version=3),
        msgspec.structs.replace(second, end_ms=JULY[1] + 1),
        msgspec.structs.replace(second, supersedes="nothing"),
    ):
        with pytest.raises(LedgerRefused):
            opened.supersede(wrong)
    opened.supersede(second)
    assert opened.period(locked.period_id) == msgspec.structs.replace(locked, state="superseded")
    assert opened.period(second.period_id) == second
    with pytest.raises(LedgerRefused, match="only a locked one"):
        opened.supersede(period("third", version=3, supersedes=second.period_id))
    with pytest.raises(LedgerRefused, match="superseded"):
        opened.supersede(period("fourth", version=2, supersedes=locked.period_id))


def test_a_superseded_period_has_no_other_future(opened: Ledger) -> None:
    locked = lock(opened, period())
    with pytest.raises(LedgerRefused, match="can become verified"):
        opened.advance(locked.period_id, "superseded")


def test_periods_are_paged_by_start_and_id(opened: Ledger) -> None:
    opened.put_project(project())
    opened.put_period(period("b", AUGUST))
    opened.put_period(period("a", JULY))
    opened.put_period(period("c", JULY, kind="custom"))
    assert [one.period_id for one in opened.periods("vn017")] == ["a", "c", "b"]
    assert [one.period_id for one in opened.periods("vn017", limit=2)] == ["a", "c"]
    assert [one.period_id for one in opened.periods("vn017", after=PeriodKey(JULY[0], "a"))] == ["c", "b"]
    assert opened.periods("vn018") == []


def test_a_token_is_kept_by_its_hash_and_revoked_for_ever(opened: Ledger) -> None:
    token = TokenRecord("cc" * 32, "verifier", "verifier", ("vn017", "vn018"), 1, 2)
    opened.put_token(token)
    assert opened.token("cc" * 32) == token
    assert opened.token("dd" * 32) is None
    for taken in (msgspec.structs.replace(token, name="x"), msgspec.structs.replace(token, token_sha256="ee" * 32)):
        with pytest.raises(LedgerRefused):
            opened.put_token(taken)
    assert opened.revoke_token("verifier")
    assert not opened.revoke_token("nobody")
    assert opened.tokens() == [msgspec.structs.replace(token, revoked=True)]


def test_of_many_that_lock_a_period_one_does(opened: Ledger) -> None:
    submitted = period()
    opened.put_project(project())
    opened.put_period(submitted)
    for state in BEFORE_LOCKED[1:]:
        opened.advance(submitted.period_id, state)
    refused: list[LedgerRefused] = []

    def once(statement: str) -> None:
        try:
            opened.lock(msgspec.structs.replace(submitted, state="locked", statement=statement))
        except LedgerRefused as error:
            refused.append(error)

    workers = [threading.Thread(target=once, args=(name,)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(refused) == 2
    stored = opened.period(submitted.period_id)
    assert stored is not None
    assert stored.state == "locked"
    assert stored.statement in "abc"


def test_migrating_again_changes_nothing(opened: Ledger) -> None:
    locked = lock(opened, period())
    opened.migrate()
    opened.ping()
    assert opened.period(locked.period_id) == locked
