"""`hakari keys set-up`: one folder with everything, private, never overwritten, and believed by the rooms."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hakari.cli.installation import CONTAINER_USER, hashed
from hakari.cli.keys import keys
from hakari.log import keyfile, rosterfile
from hakari.log.publicfile import verifier_of


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(line: str) -> Result:
    return CliRunner().invoke(keys, line.split())


def made(line: str) -> dict[str, Any]:
    result = run(f"{line} --json")
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def right(line: str, password: str) -> bool:
    """Whether Mosquitto would take the password for this line of its file."""
    _, kind, rounds, salt, digest = line.split("$")
    assert kind == "7"
    found = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(salt), int(rounds))
    return found == base64.b64decode(digest)


SET_UP = "set-up made --namespace plant.example --edge far-e1 --edge-here sola-e1"


def test_everything_is_there_private_and_said() -> None:
    told = made(SET_UP)
    files = [path for path in Path("made").rglob("*") if path.is_file()]
    private = [path for path in files if path.suffix not in {".pub", ".note", ".env"}]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert stat.S_IMODE(Path("made").stat().st_mode) == 0o700
    said = {one["file"] for one in told["files"]}
    assert {str(path.relative_to("made")) for path in files if path.suffix not in {".pub", ".env"}} <= said
    assert not Path("made/far-e1.pem").exists(), "the key of an edge elsewhere is made there"
    owners = {path.stat().st_uid for path in files}
    assert owners == {os.getuid() or CONTAINER_USER}


def test_the_roster_is_the_owners_and_names_the_rooms() -> None:
    told = made(SET_UP)
    roster = rosterfile.read("made/roster/roster.note", verifier_of(told["owner_key"]))
    assert roster.namespace == "plant.example"
    assert [key.edge for key in roster.edges] == ["sola-e1"]
    public = base64.b64encode(keyfile.public_bytes(keyfile.load("made/sola-e1.pem"))).decode()
    assert [key.key for key in roster.edges] == [public]
    assert [key.name for key in roster.cosigners] == ["plant.example/ingest"]
    assert [key.name for key in roster.statement_keys] == ["plant.example/statement"]


def test_the_broker_knows_every_user_by_its_password() -> None:
    made(SET_UP)
    lines = Path("made/passwords").read_text().splitlines()
    users = [line.split(":")[0] for line in lines]
    assert users == ["ingest-all", "health", "far-e1", "sola-e1"]
    for user, line in zip(users, lines, strict=True):
        assert right(line, Path(f"made/{user}.password").read_text().strip())
    assert hashed("a", "same").split("$")[3] != hashed("a", "same").split("$")[3], "each hash has its own salt"


def test_one_more_edge_keeps_the_file_and_every_other_user() -> None:
    made(SET_UP)
    passwords = Path("made/passwords")
    before, inode = passwords.read_text(), passwords.stat().st_ino
    assert made("broker-user made new-e1")["file"] == "new-e1.password"
    assert passwords.read_text().startswith(before)
    assert passwords.stat().st_ino == inode, "a mounted file has to stay the same file"
    assert right(passwords.read_text().splitlines()[-1], Path("made/new-e1.password").read_text().strip())
    again = run("broker-user made new-e1")
    assert (again.exit_code, "has user new-e1 already" in again.stderr) == (6, True)


def test_the_environment_names_the_place_and_no_secret() -> None:
    told = made(f"{SET_UP} --env .env")
    lines = dict(line.split("=", 1) for line in Path(".env").read_text().splitlines() if not line.startswith("#"))
    assert lines["HAKARI_SECRETS"] == "'./made'"
    assert lines["HAKARI_OWNER_KEY"] == told["owner_key"]
    assert lines["HAKARI_UID"] == str(os.getuid() or CONTAINER_USER)
    secrets = [path.read_text().strip() for path in Path("made").glob("*.password")]
    assert not any(secret in Path(".env").read_text() for secret in secrets)


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        ("set-up made --namespace Plant", 3, "lower-case domain name"),
        ("set-up made --namespace plant.example --edge nohyphen", 3, "must be site-edge"),
        ("set-up made --namespace plant.example --edge ingest-all", 3, "ingest's own name"),
        ("set-up made --namespace plant.example --edge a-e1 --edge-here a-e1", 3, "give each once"),
        ("broker-user made new-e1", 3, "make the folder with: hakari keys set-up"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(line: str, code: int, why: str) -> None:
    result = run(line)
    assert (result.exit_code, why in result.stderr) == (code, True), result.stderr
    assert list(Path().iterdir()) == []


def test_nothing_is_overwritten() -> None:
    made(SET_UP)
    before = {path: path.read_bytes() for path in Path("made").rglob("*") if path.is_file()}
    assert run(SET_UP).exit_code == 6
    assert run("set-up other --namespace plant.example --env made/owner.pem").exit_code == 6
    assert {path: path.read_bytes() for path in Path("made").rglob("*") if path.is_file()} == before
    assert not Path("other").exists()
