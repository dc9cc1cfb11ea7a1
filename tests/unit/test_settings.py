"""Settings: what is read, what is refused, and in which words."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hakari.settings import MAX_FILE_BYTES, SettingsRefused, beside, load, parse


class Broker(msgspec.Struct, frozen=True):
    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 1883
    password: str | None = None
    tls: bool = False


class Meter(msgspec.Struct, frozen=True):
    id: str
    unit: int
    kind: Literal["heat", "power"] = "heat"


class Room(msgspec.Struct, frozen=True):
    broker: Broker
    interval_s: float = 900.0
    meters: list[Meter] = []
    labels: dict[str, str] = {}
    epoch: int | None = None


GOOD = """
interval_s = 60
[broker]
host = "127.0.0.1"
[[meters]]
id = "a"
unit = 1
[[meters]]
id = "b"
unit = 2
kind = "power"
[labels]
anything = "goes"
"""


def read(tmp_path: Path, text: str | bytes, environ: dict[str, str] | None = None) -> Room:
    path = tmp_path / "edge.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, Room, "edge", environ or {})


def refusal(tmp_path: Path, text: str | bytes, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsRefused) as caught:
        read(tmp_path, text, environ)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert caught.value.exit_code == 3
    return sentence


def test_a_good_file(tmp_path: Path) -> None:
    room = read(tmp_path, GOOD)
    assert room.broker == Broker(host="127.0.0.1")
    assert room.interval_s == 60
    assert room.meters[1] == Meter(id="b", unit=2, kind="power")
    assert room.labels == {"anything": "goes"}


def test_a_byte_order_mark_is_no_key(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()).interval_s == 60


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("host =", "hots =", "[broker].hots is not a known key; did you mean host?"),
        ("[broker]", "[brokre]", "brokre is not a known key; did you mean broker?"),
        ('kind = "power"', 'knd = "power"', "[meters#2].knd is not a known key; did you mean kind?"),
        ("interval_s", "zzz", "zzz is not a known key; known here: broker, epoch, interval_s, labels, meters"),
        ('host = "127.0.0.1"', "", "[broker].host is missing; add it"),
        ("unit = 2", "", "[meters#2].unit is missing; add it"),
        ("unit = 2", 'unit = "2"', "[meters#2].unit = '2': expected `int`, got `str`; mend it"),
        ("unit = 2", "unit = 2.5", "[meters#2].unit = 2.5: expected `int`, got `float`; mend it"),
        ('"power"', '"steam"', "[meters#2].kind = 'steam': invalid enum value 'steam'; mend it"),
        ("[broker]", "[broker]\nport = 0", "[broker].port = 0: expected `int` >= 1; mend it"),
        ("[broker]", "[broker]\npassword = 12345", "[broker].password: expected `str | null`, got `int`; mend it"),
        ("interval_s = 60", "interval_s = nan", "interval_s is nan; give a finite number"),
        ("unit = 2", "unit = 2\nunit = 3", "a key or table is given twice on line 11 (unit); keep one"),
        ("[labels]", "[broker]", "a key or table is given twice on line 12 ([broker]); keep one"),
        ("unit = 2", "unit = ", "not valid TOML: Invalid value (at line 10, column 8); mend that line"),
        ('[broker]\nhost = "127.0.0.1"', "broker = 3", "broker = 3: expected `object`, got `int`; mend it"),
        ('"goes"', "1", "expected `str`, got `int`; mend it"),
    ],
)
def test_each_refusal_is_one_sentence(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    assert refusal(tmp_path, GOOD.replace(old, new)).endswith(expected)


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    assert "12345" not in refusal(tmp_path, GOOD.replace("[broker]", "[broker]\npassword = 12345"))


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "is empty" in refusal(tmp_path, "# nothing\n")
    assert "is not UTF-8 (line 2)" in refusal(tmp_path, b"a = 1\nb = '\xff'\n")
    assert f"is larger than {MAX_FILE_BYTES} bytes" in refusal(tmp_path, b"#" * (MAX_FILE_BYTES + 1))
    for line in ("a." * 9 + "b = 1", "\t[[ a . " + "b." * 8 + "c ]]", 'x = {"\\"".' + "'b'." * 8 + "c = 1}"):
        assert "line 2 has a key with more than 8 dots" in refusal(tmp_path, f"# dots\n{line}\n")
    assert "line 1 has 4097 characters, limit 4096" in refusal(tmp_path, "#" * 4097)
    assert "nested too deeply" in refusal(tmp_path, "a = " + "[" * 4_000)
    with pytest.raises(SettingsRefused, match=r"gone\.toml: cannot be read \(No such file"):
        load(tmp_path / "gone.toml", Room, "edge", {})
    with pytest.raises(SettingsRefused, match="is a folder"):
        load(tmp_path, Room, "edge", {})


def test_overrides_win_and_keep_their_type(tmp_path: Path) -> None:
    environ = {
        "HAKARI_EDGE__BROKER__PORT": "8883",
        "HAKARI_EDGE__BROKER__HOST": "10",
        "HAKARI_EDGE__BROKER__TLS": "true",
        "HAKARI_EDGE__EPOCH": "1700000000",
        "HAKARI_INGEST__NOTHING": "of ours",
        "HAKARI_TEST_MOSQUITTO": "of the tests",
    }
    room = read(tmp_path, GOOD, environ)
    assert room.broker == Broker(host="10", port=8883, tls=True)
    assert room.epoch == 1700000000


def test_an_override_may_supply_a_missing_table(tmp_path: Path) -> None:
    assert read(tmp_path, "interval_s = 5", {"HAKARI_EDGE__BROKER__HOST": "h"}).broker.host == "h"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "HAKARI_EDGE__BROKER__PROT",
            "1",
            "__PROT: [broker].prot is not a known key; did you mean port?",
        ),
        ("HAKARI_EDGE__BROKER__PORT", "many", "HAKARI_EDGE__BROKER__PORT is not a TOML value"),
        ("HAKARI_EDGE__BROKER__PORT", "70000", "[broker].port = 70000: expected `int` <= 65535"),
        ("HAKARI_EDGE__BROKER", "1", "broker = 1: expected `object`, got `int`"),
        ("HAKARI_EDGE__LABELS__A__B", "1", "[labels].a is not a known key"),
    ],
)
def test_refused_overrides(tmp_path: Path, name: str, value: str, expected: str) -> None:
    assert expected in refusal(tmp_path, GOOD, {name: value})


def test_beside(tmp_path: Path) -> None:
    assert beside(tmp_path / "edge.toml", "keys/edge.pem") == tmp_path / "keys" / "edge.pem"
    assert beside(tmp_path / "edge.toml", "/abs") == Path("/abs")


@given(st.text(max_size=200))
def test_no_text_escapes_the_sentence(text: str) -> None:
    with suppress(SettingsRefused):
        assert parse(text, "x.toml")
