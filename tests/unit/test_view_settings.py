"""Ingest, calc and the API each say where the readings view is, in exactly one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from api.settings import ApiSettingsInvalid
from api.settings import read as api_settings
from calc.settings import CalcSettingsInvalid
from calc.settings import load_settings as calc_settings
from hakari.errors import BAD_CONFIGURATION, BadConfiguration
from hakari.influxdb import InfluxSettings
from ingest.settings import IngestSettingsInvalid
from ingest.settings import load_settings as ingest_settings
from tests.unit import calc_world as w

INFLUXDB = '[influxdb]\nurl = "http://127.0.0.1:8086"\ntoken_file = "influxdb.token"\n'
ROOMS = {
    "ingest": (ingest_settings, IngestSettingsInvalid),
    "calc": (calc_settings, CalcSettingsInvalid),
    "api": (api_settings, ApiSettingsInvalid),
}
Given = tuple[str, Callable[..., object], type[BadConfiguration]]


def text_of(room: str, folder: Path) -> str:
    """The room's table without a view."""
    owner = w.World(folder / "keys").owner.verifier
    shared = f'evidence = "e.db"\nowner_key = "{owner}"\nroster_file = "r.note"\n'
    own = {
        "ingest": 'namespace = "plant.example"\ncosigner_name = "plant.example/ingest"\ncosigner_key_file = "c.pem"\n',
        "calc": 'ledger = "sqlite:///l.db"\nstatement_key_file = "s.pem"\nstatement_key_name = "s"\n',
        "api": 'ledger = "sqlite:///l.db"\n',
    }
    return f"[{room}]\n{shared}{own[room]}"


def broker(room: str) -> str:
    return '[broker]\nhost = "127.0.0.1"\npassword_file = "p"\n' if room == "ingest" else ""


@pytest.fixture(params=sorted(ROOMS))
def room(request: pytest.FixtureRequest) -> Given:
    return request.param, *ROOMS[request.param]


def test_one_of_both_is_taken(room: Given, tmp_path: Path) -> None:
    name, load, _ = room
    file = tmp_path / "room.toml"
    table = text_of(name, tmp_path)
    file.write_text(f'{table}view = "view.db"\n{broker(name)}')
    assert getattr(load(file, {}), "influxdb") is None  # noqa: B009 - three rooms' settings
    file.write_text(table + broker(name) + INFLUXDB)
    assert isinstance(getattr(load(file, {}), "influxdb"), InfluxSettings)  # noqa: B009


@pytest.mark.parametrize(
    ("view", "influxdb", "sentence"),
    [
        ("", "", r"\[{}\]\.view is missing; give the file of the embedded view, or a table \[influxdb\]"),
        ('view = "view.db"\n', INFLUXDB, r"\[{}\]\.view and the table \[influxdb\] both say .*; keep one"),
    ],
)
def test_none_or_both_are_refused_in_one_sentence(
    room: Given, tmp_path: Path, view: str, influxdb: str, sentence: str
) -> None:
    name, load, error = room
    file = tmp_path / "room.toml"
    file.write_text(text_of(name, tmp_path) + view + broker(name) + influxdb)
    with pytest.raises(error, match=f"room.toml: {sentence.format(name)}") as refused:
        load(file, {})
    assert refused.value.exit_code == BAD_CONFIGURATION
