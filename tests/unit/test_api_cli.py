"""The API as a process, and the commands that make its tokens."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from api.auth import hash_of
from api.cli import api, user
from api.problems import MAX_BODY_BYTES
from api.run import CannotListen, listen
from api.settings import ApiSettings, read
from hakari.errors import HakariError
from hakari.settings import SettingsRefused
from hakari.store.ledger_sql import SqlLedger
from tests.unit.api_world import POINT, build, project

STORES = 'ledger = "sqlite:///ledger.sqlite"\nevidence = "evidence.sqlite"\nview = "view.sqlite"\nport = 0\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "api.toml"
    path.write_text(STORES + 'pack_dir = "."\n')
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
    settings = read(config, {"HAKARI_API__PORT": "9000"})
    assert settings.port == 9000
    assert settings.ledger == f"sqlite:///{config.parent / 'ledger.sqlite'}"
    assert Path(settings.evidence) == config.parent / "evidence.sqlite"
    config.write_text(STORES + "prot = 1\n")
    with pytest.raises(SettingsRefused, match="did you mean port"):
        read(config, {})


def test_an_address_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ApiSettings(ledger="", evidence="", view="", port=taken.getsockname()[1])
        with pytest.raises(CannotListen, match="choose another host or port"):
            listen(settings)
    with pytest.raises(CannotListen, match="choose another host or port"):
        listen(ApiSettings(ledger="", evidence="", view="", host="no.such.host.invalid"))


def test_missing_stores_end_the_process_with_one_sentence(config: Path) -> None:
    result = CliRunner().invoke(api, ["run", "--config", str(config)])
    assert isinstance(result.exception, HakariError)
    assert "evidence.sqlite" in str(result.exception)


@pytest.mark.system
def test_the_process_serves_and_ends_cleanly_on_sigterm(config: Path, root: Path) -> None:
    build(config.parent).close()
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
        period = httpx.get(f"{address}/v1/periods/plant-a-month", headers=headers)
        assert period.status_code == 200
        assert period.json()["standing"] == "recalled"
        assert "server" not in period.headers
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
