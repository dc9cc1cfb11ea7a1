"""The API as a process, and the commands that make its tokens."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from api.auth import hash_of
from api.cli import api, user
from api.problems import MAX_BODY_BYTES
from api.run import CannotListen, LedgerNotReady, listen
from api.settings import ApiTable, read
from hakari.errors import HakariError
from hakari.log.rosterfile import RosterFileInvalid
from hakari.settings import SettingsRefused
from hakari.store.ledger_sql import LedgerUnavailable, SqlLedger
from tests.unit.api_world import OWNER, POINT, STATEMENT, build, locked, period, project, write_roster

STORES = """[api]
ledger = "sqlite:///ledger.sqlite"
evidence = "evidence.sqlite"
view = "view.sqlite"
roster_file = "roster.note"
owner_key = "owner.pub"
port = 0
"""


NOWHERE = ApiTable(ledger="", evidence="", view="", roster_file="", owner_key="")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "api.toml"
    path.write_text(STORES + 'pack_dir = "."\n')
    write_roster(tmp_path / "roster.note", STATEMENT)
    (tmp_path / "owner.pub").write_text(f"{OWNER.verifier}\n")
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(user, ["token", *map(str, arguments)])


def made(config: Path, *arguments: str) -> Any:
    result = call("create", "--config", config, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_token_is_shown_once_and_kept_as_a_hash(config: Path) -> None:
    token = made(config, "--project", "*", "--days", "2", "--name", "tpe")
    assert token["token"].startswith("hk_")
    ledger = SqlLedger(f"sqlite:///{config.parent / 'ledger.sqlite'}")
    record = ledger.token(hash_of(token["token"]))
    ledger.close()
    assert record is not None
    assert (record.name, record.projects, record.revoked) == ("tpe", ("*",), False)
    assert record.expires_ms - record.created_ms == 2 * 86_400_000
    stored = b"".join(path.read_bytes() for path in config.parent.glob("ledger.sqlite*"))
    assert token["token"].encode() not in stored
    assert token["token"] not in call("list", "--config", config).output


def test_tokens_are_listed_and_revoked_by_name(config: Path) -> None:
    made(config, "--project", "*", "--name", "one")
    listed = json.loads(call("list", "--config", config, "--json").stdout)
    assert [(one["name"], one["state"]) for one in listed] == [("one", "valid")]
    assert call("revoke", "--config", config, "one").exit_code == 0
    listed = json.loads(call("list", "--config", config, "--json").stdout)
    assert [one["state"] for one in listed] == ["revoked"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "--project", "unknown"), "not registered"),
        (("create", "--project", "../x"), "must begin with"),
        (("create", "--project", "*", "--name", "a\x1b[2J"), "printable"),
        (("create", "--project", "*", "--name", ""), "printable"),
        (("revoke", "nobody"), "no token named 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(config: Path, arguments: tuple[str, ...], sentence: str) -> None:
    result = call(arguments[0], "--config", config, *arguments[1:])
    assert isinstance(result.exception, HakariError)
    assert sentence in str(result.exception)


def test_a_name_is_taken_once(config: Path) -> None:
    made(config, "--project", "*", "--name", "one")
    again = call("create", "--config", config, "--project", "*", "--name", "one")
    assert "exists; choose another name" in str(again.exception)


def test_a_token_for_a_registered_project(config: Path) -> None:
    ledger = SqlLedger(f"sqlite:///{config.parent / 'ledger.sqlite'}")
    ledger.migrate()
    ledger.put_project(project("plant-a", POINT))
    ledger.close()
    assert made(config, "--project", "plant-a")["projects"] == ["plant-a"]


@pytest.mark.parametrize("days", ["0", "-1", "999999", "x"])
def test_a_token_does_not_last_for_ever(config: Path, days: str) -> None:
    assert call("create", "--config", config, "--project", "*", "--days", days).exit_code == 2


def test_paths_lie_beside_the_settings_and_overrides_win(config: Path) -> None:
    settings = read(config, {"HAKARI_API__API__PORT": "9000"}).api
    assert settings.port == 9000
    assert settings.ledger == f"sqlite:///{config.parent / 'ledger.sqlite'}"
    assert Path(settings.evidence) == config.parent / "evidence.sqlite"
    assert Path(settings.roster_file) == config.parent / "roster.note"
    assert Path(settings.owner_key) == config.parent / "owner.pub"
    text = str(OWNER.verifier)
    assert read(config, {"HAKARI_API__API__OWNER_KEY": text}).api.owner_key == text
    config.write_text(STORES + "prot = 1\n")
    with pytest.raises(SettingsRefused, match=r"\[api\]\.prot .*did you mean port"):
        read(config, {})


def test_an_address_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = replace(NOWHERE, port=taken.getsockname()[1])
        with pytest.raises(CannotListen, match="choose another host or port"):
            listen(settings)
    with pytest.raises(CannotListen, match="choose another host or port"):
        listen(replace(NOWHERE, host="no.such.host.invalid"))


def test_missing_stores_end_the_process_with_one_sentence(config: Path) -> None:
    made(config, "--project", "*")
    assert "evidence.sqlite" in str(refused(config, HakariError))


def refused(config: Path, kind: type[HakariError]) -> HakariError:
    """The sentence with which the API refuses to start."""
    result = CliRunner().invoke(api, ["run", "--config", str(config)])
    assert isinstance(result.exception, kind), result.exception
    return result.exception


def test_a_ledger_that_calc_did_not_make_is_refused_and_left_alone(config: Path) -> None:
    path = config.parent / "ledger.sqlite"
    error = refused(config, LedgerNotReady)
    assert error.exit_code == 3
    assert "run hakari project add or hakari calc run first" in str(error)
    assert not path.exists()
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE alembic_version (version_num)")
        raw.execute("INSERT INTO alembic_version VALUES ('0000')")
    raw.close()
    before = path.read_bytes()
    assert "has schema 0000" in str(refused(config, LedgerNotReady))
    assert path.read_bytes() == before


def test_a_ledger_opened_for_reading_takes_no_change(tmp_path: Path) -> None:
    served = build(tmp_path)
    ledger = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", read_only=True)
    assert [one.project_id for one in ledger.projects()] == ["plant-a", "plant-b"]
    with pytest.raises(LedgerUnavailable, match="readonly"):
        ledger.put_project(project("plant-c", POINT))
    ledger.close()
    served.close()


@pytest.mark.parametrize("broken", ["missing", "foreign", "no-roster"])
def test_without_a_roster_of_the_owner_nothing_is_served(config: Path, broken: str) -> None:
    roster = config.parent / "roster.note"
    if broken == "missing":
        roster.unlink()
    elif broken == "foreign":
        (config.parent / "owner.pub").write_text(f"{STATEMENT.verifier}\n")
    else:
        roster.write_text("no roster\n")
    error = refused(config, RosterFileInvalid)
    assert error.exit_code == 3
    assert "roster.note" in str(error)


@pytest.mark.system
def test_the_process_serves_and_ends_cleanly_on_sigterm(config: Path, root: Path) -> None:
    served = build(config.parent)
    submitted = period("plant-a", POINT, "month")
    served.ledger.put_period(replace(submitted, state="submitted"))
    served.ledger.lock(locked(submitted))
    served.close()
    token = made(config, "--project", "plant-a")["token"]
    program = "import sys; from hakari.cli.root import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "api", "run", "--config", str(config), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=root,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    try:
        assert process.stdout is not None
        address = json.loads("".join(process.stdout.readline() for _ in range(3)))["address"]
        headers = {"authorization": f"Bearer {token}"}
        shown = httpx.get(f"{address}/v1/periods/plant-a-month", headers=headers)
        assert shown.status_code == 200
        assert (shown.json()["state"], shown.json()["credits"]) == ("locked", True)
        assert "server" not in shown.headers
        assert httpx.get(f"{address}/v1/periods/plant-b-month", headers=headers).status_code == 404
        assert httpx.get(f"{address}/v1/projects").status_code == 401
        large = httpx.post(f"{address}/v1/projects", content=b"x" * (MAX_BODY_BYTES + 1))
        assert large.json()["code"] == "body-too-large"
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert token not in errors
