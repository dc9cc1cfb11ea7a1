"""`hakari ingest status` and `hakari view set-up`: what a supervisor and a set-up run beside ingest."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from hakari.alive import check
from hakari.cli.output import show
from hakari.settings import beside
from ingest.settings import IngestSettingsInvalid, load_settings
from ingest.view.influx_access import secret
from ingest.view.influx_access import set_up as set_up_influxdb

SILENCE_LIMIT_S = 15.0  # three signs of life

_config = click.option(
    "--config", default="ingest.toml", show_default=True, type=click.Path(path_type=Path), help="Settings file."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("status")
@_config
@_json
def status(config: Path, *, as_json: bool) -> None:
    """Show the running ingest's last sign of life; exit code 4 where it hangs or the broker lets it do nothing.

    A readings view that cannot be reached is told and is no failure: leaves are stored and marked without it.
    """
    settings = load_settings(config, os.environ)
    if not settings.ingest.alive_file:
        raise IngestSettingsInvalid(
            f"{config}: [ingest].alive_file is missing, so there is no sign of life; name a file"
        )
    sign = check(beside(config, settings.ingest.alive_file), SILENCE_LIMIT_S, time.time())
    without = f"; stores and marks leaves, but {sign.without}" if sign.without else ""
    show(sign._asdict(), f"alive {sign.age_s:.0f} s ago{without}", as_json)


@click.command("set-up")
@_config
@click.option("--operator-token", required=True, type=click.Path(path_type=Path), help="File of the operator's token.")
@click.option("--admin-password", required=True, type=click.Path(path_type=Path), help="File of the user's password.")
@click.option("--tokens", required=True, type=click.Path(path_type=Path), help="Folder for ROOM/influxdb.token.")
@_json
def set_up(config: Path, *, operator_token: Path, admin_password: Path, tokens: Path, as_json: bool) -> None:
    """Set up the InfluxDB of [influxdb]: organisation, bucket, and a token for each of ingest, calc, api, grafana.

    A fresh server gets the operator's token and a user admin; on another the token must be the operator's. Saying
    it again changes nothing that is right already.
    """
    settings = load_settings(config, os.environ).influxdb
    if settings is None:
        raise IngestSettingsInvalid(f"{config}: there is no table [influxdb]; nothing needs to be set up")
    done = set_up_influxdb(settings, secret(operator_token), secret(admin_password), tokens)
    text = (
        f"InfluxDB at {settings.url}: {'set up now' if done.fresh else 'set up already'},"
        f" bucket {settings.bucket} {'made' if done.bucket_made else 'there'},"
        f" new tokens: {', '.join(done.new_tokens) or 'none'}"
    )
    show(done._asdict(), text, as_json)
