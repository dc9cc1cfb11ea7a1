"""Nothing that somebody wrote into the ledger's file is shown as locked: the statement says what is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.statements import RosterKeys
from calc.statement import Statement, open_statement, sign_statement
from hakari.ledger import result as results
from hakari.ledger.types import PeriodRecord
from hakari.log import rosterfile
from hakari.log.note import SigningKey
from hakari.log.roster import NamedKey
from tests.unit.api_world import OWNER, POINT, STATEMENT, Served, build, locked, period, write_roster

FIGURE = "999999"
STRANGER = SigningKey("plant.example/statement", Ed25519PrivateKey.from_private_bytes(b"x" * 32))


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return build(tmp_path)


def write(served: Served, record: PeriodRecord) -> None:
    """The record over the one with its id, by somebody who may write the file and removes what protects it."""
    with sqlite3.connect(served.folder / "ledger.sqlite") as raw:
        raw.execute("PRAGMA ignore_check_constraints = ON")
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        fields = [name for name in msgspec.structs.asdict(record) if name != "period_id"]
        raw.execute(
            f"UPDATE periods SET {', '.join(f'{name} = ?' for name in fields)} WHERE period_id = ?",
            [*(getattr(record, name) for name in fields), record.period_id],
        )
    raw.close()


def month() -> PeriodRecord:
    return period("plant-a", POINT, "month")


def forged() -> PeriodRecord:
    """A result of our own making, with its own hash."""
    return locked(month(), reductions_tco2=FIGURE, reductions_whole_tco2=int(FIGURE))


def restated(**changes: object) -> PeriodRecord:
    """The forged result under a statement of the true key that names something else."""
    record = forged()
    said: Statement = open_statement(record.statement.encode(), [STATEMENT.verifier])
    note = sign_statement(msgspec.structs.replace(said, **changes), STATEMENT)
    return msgspec.structs.replace(record, statement=note.decode())


def two_lines(note: str) -> str:
    return note + note.splitlines()[-1] + "\n"


def test_a_period_that_was_stated_is_shown_as_locked(served: Served) -> None:
    served.ledger.put_period(msgspec.structs.replace(month(), state="submitted"))
    served.ledger.lock(locked(month()))
    shown = served.json("/v1/periods/plant-a-month")
    assert (shown["state"], shown["credits"]) == ("locked", True)
    assert open_statement(shown["statement"].encode(), [STATEMENT.verifier]).result_sha256 == shown["result_sha256"]
    served.ledger.advance("plant-a-month", "verified")
    assert served.json("/v1/projects/plant-a/periods")["items"][1]["state"] == "verified"
    served.close()


@pytest.mark.parametrize(
    "made",
    [
        lambda: msgspec.structs.replace(forged(), statement=""),
        lambda: msgspec.structs.replace(forged(), statement="x"),
        lambda: msgspec.structs.replace(forged(), statement=locked(month()).statement),
        lambda: locked(month(), STRANGER, reductions_tco2=FIGURE),
        lambda: msgspec.structs.replace(forged(), statement=two_lines(forged().statement)),
        lambda: restated(project="plant-b"),
        lambda: restated(label="2016-08"),
        lambda: restated(zone="UTC"),
        lambda: restated(start_ms=0),
        lambda: restated(end_ms=month().end_ms + 1),
        lambda: restated(state="provisional"),
        lambda: restated(result_sha256="00" * 32),
    ],
    ids=[
        "none", "text", "true-one", "stranger", "two-signatures", "project", "label", "zone", "start", "end",
        "provisional", "result",
    ],
)  # fmt: skip
def test_what_was_not_stated_is_not_shown(served: Served, made: Callable[[], PeriodRecord]) -> None:
    write(served, made())
    refused(served)


@pytest.mark.parametrize("state", ["locked", "verified", "issued", "superseded"])
def test_no_state_from_locked_on_goes_without_a_statement(served: Served, state: str) -> None:
    write(served, msgspec.structs.replace(forged(), state=state, statement=""))
    refused(served)


def refused(served: Served) -> None:
    """Neither address shows the period, and none its figure."""
    for path in ("/v1/periods/plant-a-month", "/v1/projects/plant-a/periods"):
        answer = served.get(path)
        assert (answer.status_code, answer.json()["code"]) == (500, "evidence-mismatch"), path
        assert "plant-a-month" in answer.json()["detail"]
        assert FIGURE not in answer.text
    served.close()


def test_what_was_stated_of_another_period_is_not_shown_in_its_place(served: Served) -> None:
    """A true result with its true statement, put where it does not belong."""
    foreign = locked(period("plant-b", POINT, "month"))
    write(served, msgspec.structs.replace(foreign, period_id="plant-a-month", project_id="plant-a"))
    assert served.get("/v1/periods/plant-a-month").json()["code"] == "evidence-mismatch"
    served.close()


def test_a_statement_beside_an_open_period_must_be_one_too(served: Served) -> None:
    write(served, msgspec.structs.replace(month(), statement="hakari statement v1"))
    assert served.get("/v1/periods/plant-a-month").json()["code"] == "evidence-mismatch"
    served.close()


def test_an_open_period_needs_no_statement_and_credits_nothing(served: Served) -> None:
    record = forged()
    write(served, msgspec.structs.replace(record, state="submitted", statement=""))
    shown = served.json("/v1/periods/plant-a-month")
    assert (shown["credits"], shown["statement"]) == (False, "")
    assert results.decode(record.result_json).state == "locked"
    served.close()


def test_a_statement_key_counts_as_soon_as_the_owner_adds_it(tmp_path: Path) -> None:
    roster = tmp_path / "roster.note"
    write_roster(roster, STATEMENT)
    keys = RosterKeys(rosterfile.Watched(roster, OWNER.verifier))
    assert list(keys()) == [STATEMENT.verifier]
    second = SigningKey("plant.example/second", STRANGER.private).verifier
    named = [NamedKey(one.name, str(one)) for one in (STATEMENT.verifier, second)]
    rosterfile.amend(roster, OWNER, lambda known: known.following(statement_keys=named))
    assert list(keys()) == [STATEMENT.verifier, second]
