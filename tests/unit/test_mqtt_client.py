"""The MQTT client's settings: a wrong file is said to be wrong, and nothing goes out in clear by mistake."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hakari.mqtt import BrokerSettings, BrokerUnusable, Link, Standing, client


def made(folder: Path, **given: str) -> None:
    client(BrokerSettings(host="127.0.0.1", **given), folder, "sola-e1", clean=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"certificate_file": "c.pem"}, "certificate_file and key_file together"),
        ({"certificate_file": "c.pem", "key_file": "k.pem"}, "would send everything in clear"),
        ({"ca_file": "none.pem"}, "certificates cannot be used"),
        ({"password_file": "none"}, "password_file"),
        ({"password_file": "two"}, "must hold one line"),
        ({"password_file": "empty"}, "must hold one line"),
        ({"password_file": "long"}, "must hold one line"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, given: dict[str, str], part: str) -> None:
    (tmp_path / "two").write_text("one\ntwo\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "long").write_text("x" * 5000)
    with pytest.raises(BrokerUnusable, match=part):
        made(tmp_path, **given)


def test_a_file_in_the_users_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secret").write_text("pass\n")
    made(tmp_path / "elsewhere", password_file="~/secret")


def test_connections_that_are_ended_at_once_hint_at_another_client_of_this_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seconds = [0.0]
    standing = Standing(BrokerSettings(host="b"), "sola-e1", logging.getLogger("test"), lambda: seconds[0])
    caplog.set_level(logging.INFO, "test")
    for held_s in (1.0, 1.0, 1.0, 1.0, 1.0):
        standing.connected()
        seconds[0] += held_s
        standing.unreachable()
    links = [standing.link]
    said = [one.getMessage() for one in caplog.records if "ended at once" in one.getMessage()]
    assert len(said) == 1
    assert said[0].startswith(
        "broker b:8883 lets sola-e1 in, and connections are ended at once; another client may use"
    )
    standing.connected()
    links.append(standing.link)
    seconds[0] += 60.0
    standing.unreachable()
    links.append(standing.link)
    assert links == [Link.ENDED, Link.CONNECTED, Link.UNREACHABLE]
    assert caplog.records[-1].getMessage().startswith("broker b:8883 is not reachable")


def test_a_broker_that_is_away_is_not_called_another_client(caplog: pytest.LogCaptureFixture) -> None:
    standing = Standing(BrokerSettings(host="b"), "sola-e1", logging.getLogger("test"), lambda: 0.0)
    for _ in range(9):
        standing.unreachable()
    assert standing.link is Link.UNREACHABLE
    assert not [one for one in caplog.records if "ended" in one.getMessage()]
