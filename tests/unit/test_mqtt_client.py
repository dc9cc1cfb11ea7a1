"""The MQTT client's settings: a wrong file is said to be wrong, and nothing goes out in clear by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from hakari.mqtt import BrokerSettings, BrokerUnusable, client


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
