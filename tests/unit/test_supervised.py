"""What supervisors ask ingest and calc, and how an InfluxDB is set up: every answer in one sentence."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from calc.cli import calc
from hakari.alive import Alive, NotAlive
from hakari.errors import BadConfiguration
from ingest.cli import ingest, view
from ingest.view.influx_access import InfluxAway, SecretUnusable
from simulate.layout import free_ports

ROOT = Path(__file__).resolve().parents[2]
OWNER = "plant.example/owner+6c9bacec+AW+8Soudrsl4R8ikrqcsXx+A+Kv8f0CdZ2n5CZRxDrip"
ROOMS: dict[str, click.Command] = {"ingest": ingest, "calc": calc}


def config(folder: Path, room: str, *, alive: bool = True) -> Path:
    """The room's settings as docker-compose.yml has them, with a sign of life in `folder`."""
    text = (ROOT / f"deploy/compose/{room}.toml").read_text()
    text = text.replace("/tmp/alive", "alive" if alive else "").replace(
        "//influxdb:8086", f"//127.0.0.1:{free_ports(1)[0]}"
    )
    text = text.replace('owner_key = "set-by-docker-compose"', f'owner_key = "{OWNER}"')
    file = folder / f"{room}.toml"
    file.write_text(text)
    return file


def ask(command: click.Command, line: str) -> str:
    result = CliRunner().invoke(command, line.split(), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_that_works_says_so(tmp_path: Path, room: str) -> None:
    file = config(tmp_path, room)
    Alive(tmp_path / "alive").beat()
    told = json.loads(ask(ROOMS[room], f"status --json --config {file}"))
    assert told["trouble"] == ""


def test_an_ingest_that_takes_leaves_without_its_view_is_alive_and_says_so(tmp_path: Path) -> None:
    file = config(tmp_path, "ingest")
    Alive(tmp_path / "alive").beat(without="InfluxDB does not answer")
    assert "stores and marks leaves, but InfluxDB does not answer" in ask(ROOMS["ingest"], f"status --config {file}")
    assert json.loads(ask(ROOMS["ingest"], f"status --json --config {file}"))["without"] == "InfluxDB does not answer"


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_that_hangs_does_not(tmp_path: Path, room: str) -> None:
    file = config(tmp_path, room)
    Alive(tmp_path / "alive", lambda: time.time() - 86_400).beat()
    with pytest.raises(NotAlive, match="hangs or was killed"):
        ask(ROOMS[room], f"status --config {file}")


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_that_keeps_no_sign_cannot_be_asked(tmp_path: Path, room: str) -> None:
    file = config(tmp_path, room, alive=False)
    with pytest.raises(BadConfiguration, match=rf"\[{room}\].alive_file is missing"):
        ask(ROOMS[room], f"status --config {file}")


def test_an_influxdb_that_is_away_cannot_be_set_up(tmp_path: Path) -> None:
    file = config(tmp_path, "ingest")
    secret = tmp_path / "secret"
    line = f"set-up --config {file} --operator-token {secret} --admin-password {secret} --tokens {tmp_path / 'tokens'}"
    with pytest.raises(SecretUnusable, match="make it with: hakari keys set-up"):
        ask(view, line)
    secret.write_text("two words\n")
    with pytest.raises(SecretUnusable, match="one line and nothing else"):
        ask(view, line)
    secret.write_text("one\n")
    with pytest.raises(InfluxAway, match=r"does not answer .*; start it first"):
        ask(view, line)
    assert not (tmp_path / "tokens").exists()


def test_the_embedded_view_needs_no_set_up(tmp_path: Path) -> None:
    file = config(tmp_path, "ingest")
    text = file.read_text().partition("[influxdb]")[0]
    file.write_text(text.replace("[broker]", 'view = "view.db"\n\n[broker]'))
    line = f"set-up --config {file} --operator-token x --admin-password x --tokens x"
    with pytest.raises(BadConfiguration, match="no table"):
        ask(view, line)
