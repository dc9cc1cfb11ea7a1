"""What a hand does wrong in an edge's settings and profiles: each mistake one sentence, nothing started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.library import profile
from edge.settings import load_settings
from hakari.errors import BadConfiguration
from tests.unit.edge_folder import one_meter, settings_text

METER = one_meter("sunspec-inverter-103", "inverter", "pv", 'host = "10.0.0.7"')
GOOD = settings_text(f'password_file = "mqtt.txt"\n{METER}')
PROFILE = """
id = "p"
maker = "m"
model = "m"
source = "s"
standing = "excerpt"
[[points]]
name = "energy"
address = 72
type = "u16"
kind = "counter"
unit = "kWh"
"""


def said(path: Path, content: bytes | None, read: Callable[[], object]) -> str:
    """The one sentence by which a file is refused; None is one of 100 MB."""
    if content is None:
        with path.open("wb") as file:
            file.truncate(100 * 1024 * 1024)
    else:
        path.write_bytes(content)
    with pytest.raises(BadConfiguration) as caught:
        read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused(folder: Path, content: bytes | str | None) -> str:
    path = folder / "edge.toml"
    told = content.encode() if isinstance(content, str) else content
    return said(path, told, lambda: load_settings(path, {}))


def refused_profile(folder: Path, content: bytes | str | None) -> str:
    told = content.encode() if isinstance(content, str) else content
    return said(folder / "p.toml", told, lambda: profile("p.toml", folder))


def test_the_good_files_are_good(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(GOOD)
    (tmp_path / "p.toml").write_text(PROFILE)
    assert load_settings(tmp_path / "edge.toml", {}).edge.interval_s == 900
    assert profile("p.toml", tmp_path).id == "p"


@pytest.mark.parametrize(
    ("content", "part"),
    [(b"", "is empty"), (b"\0" * 99, "not valid TOML"), (b"\xff\xfe", "not UTF-8"), (None, "is larger than")],
)
def test_bad_input_01_settings_and_profiles_that_are_none(tmp_path: Path, content: bytes | None, part: str) -> None:
    assert part in refused(tmp_path, content)
    assert part in refused_profile(tmp_path, content)


def test_bad_input_02_a_key_given_twice(tmp_path: Path) -> None:
    assert "given twice on line 11 (interval_s); keep one" in refused(
        tmp_path, GOOD.replace("interval_s = 900", "interval_s = 900\ninterval_s = 60")
    )
    assert "given twice" in refused(tmp_path, GOOD.replace("[broker]", "[edge]\n[broker]"))
    assert "given twice" in refused_profile(tmp_path, PROFILE.replace("address = 72", "address = 72\naddress = 73"))


def test_bad_input_03_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    assert "did you mean interval_s?" in refused(tmp_path, GOOD.replace("interval_s", "intervall_s"))
    assert "did you mean unit?" in refused(tmp_path, GOOD.replace("unit = 1", "units = 1"))
    assert "did you mean address?" in refused_profile(tmp_path, PROFILE.replace("address", "adress"))


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("no", "not valid TOML"),
        ("012", "not valid TOML"),
        ('"1"', "expected `int`, got `str`"),
        ("true", "expected `int`, got `bool`"),
        ("1.5", "expected `int`, got `float`"),
        ("1_000", "unit = 1000"),
        ("0x100", "unit = 256"),
        ("nan", "give a finite number"),
        ("1979-05-27", "expected `int`, got `date`"),
        ("[1]", "expected `int`, got `array`"),
    ],
)
def test_bad_input_04_values_that_are_not_what_they_look_like(tmp_path: Path, value: str, part: str) -> None:
    assert part in refused(tmp_path, GOOD.replace("unit = 1", f"unit = {value}"))


def test_bad_input_04_addresses_and_types_of_a_profile(tmp_path: Path) -> None:
    for value, part in (('"0x48"', "expected `int`, got `str`"), ("65536", "address = 65536"), ("-1", "address = -1")):
        assert part in refused_profile(tmp_path, PROFILE.replace("address = 72", f"address = {value}"))


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('password_file = "mqtt.txt"', 'password = "hunter2"', "did you mean password_file?"),
        ('key_file = "edge.pem"', 'key_file = "-----BEGIN PRIVATE KEY-----"', "holds a secret instead of a path"),
        ('password_file = "mqtt.txt"', 'password_file = """one\nhunter2"""', "holds a secret instead of a path"),
        ('host = "127.0.0.1"', 'host = "user:hunter2@127.0.0.1"', "is neither a host name nor an IP address"),
    ],
)
def test_bad_input_12_secrets_in_the_settings(tmp_path: Path, old: str, new: str, part: str) -> None:
    sentence = refused(tmp_path, GOOD.replace(old, new))
    assert part in sentence
    assert "one\nhunter2" not in sentence
