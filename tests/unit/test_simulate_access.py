"""The broker's users and their topics."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hakari import names
from simulate import users
from simulate.acl import Action, allowed

SHARD = names.shard("sola-e1")


@pytest.mark.parametrize(
    ("user", "action", "topic", "may"),
    [
        ("sola-e1", "publish", f"hakari/v1/batch/{SHARD}/sola-e1", True),
        ("sola-e1", "publish", "hakari/v1/batch/00/sola-e1", False),
        ("sola-e1", "publish", names.batch_topic("boil-e1"), False),
        ("sola-e1", "publish", "hakari/v1/mark/sola-e1", False),
        ("sola-e1", "subscribe", "hakari/v1/mark/sola-e1", True),
        ("sola-e1", "receive", "hakari/v1/config/sola-e1", True),
        ("sola-e1", "subscribe", "hakari/v1/mark/+", False),
        ("sola-e1", "subscribe", "#", False),
        ("sola-e1", "subscribe", f"hakari/v1/batch/{SHARD}/sola-e1", False),
        ("ingest-all", "subscribe", "hakari/v1/batch/#", True),
        ("ingest-all", "subscribe", names.ALL_BATCHES, True),
        ("ingest-all", "receive", names.batch_topic("boil-e1"), True),
        ("ingest-all", "subscribe", "#", False),
        ("ingest-all", "publish", "hakari/v1/mark/boil-e1", True),
        ("ingest-all", "publish", "hakari/v1/mark/a/b-c", False),
        ("ingest-all", "publish", names.batch_topic("boil-e1"), False),
        ("", "publish", "hakari/v1/batch/00/", False),
        ("Nobody", "subscribe", "hakari/v1/mark/Nobody", False),
    ],
)
def test_topics(user: str, action: Action, topic: str, may: bool) -> None:
    assert allowed(user, action, topic) is may


def test_users_have_private_files_and_right_passwords(tmp_path: Path) -> None:
    path = users.create(tmp_path, ["sola-e1", "ingest-all"])
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    password = (tmp_path / "sola-e1.password").read_text().strip()
    known = users.load(path)
    assert password not in path.read_text()
    assert users.matches(known, "sola-e1", password)
    assert not users.matches(known, "ingest-all", password)
    assert not users.matches(known, "sola-e1", password + "x")
    assert not users.matches(known, "sola-e1", None)
    assert not users.matches(known, None, "")


def test_a_users_file_that_cannot_be_used(tmp_path: Path) -> None:
    path = users.create(tmp_path, ["sola-e1"])
    path.chmod(0o644)
    with pytest.raises(users.UsersInvalid, match="mode 0644"):
        users.load(path)
    path.chmod(0o600)
    path.write_text(path.read_text() * 2)
    with pytest.raises(users.UsersInvalid, match="line 2"):
        users.load(path)
    with pytest.raises(users.UsersInvalid, match="cannot be read"):
        users.load(tmp_path / "absent")
    with pytest.raises(users.UsersInvalid, match="a-z"):
        users.create(tmp_path, ["Not allowed"])
