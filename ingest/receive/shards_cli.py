"""`hakari ingest shards`: what the broker has to know of a worker's sessions."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hakari.cli.installation import hashed
from hakari.cli.output import show
from hakari.mqtt import as_user, password
from hakari.names import mark_topic
from ingest.options import options
from ingest.receive.shards import Shards
from ingest.settings import IngestSettingsInvalid, load_settings


@click.command("shards")
@options
@click.option("--passwords", is_flag=True, help="Print lines for the broker's password file instead.")
def shards(config: Path, *, passwords: bool, as_json: bool) -> None:
    """Print the lines that Mosquitto's access list needs for this worker's sessions, one user a session."""
    given = load_settings(config, os.environ)
    users = Shards(given.ingest.shards).subscriptions()
    if passwords:
        known = {one.user: password(as_user(given.broker, one.user), config.parent) for one in users}
        if None in known.values():
            raise IngestSettingsInvalid(f"{config}: [broker].password_file is missing; name the file of the password")
        lines = [hashed(user, secret) for user, secret in known.items() if secret is not None]
    else:
        lines = [f"user {one.user}\ntopic read {one.topics}\ntopic write {mark_topic('+')}" for one in users]
    show({"users": [one.user for one in users], "lines": lines}, "\n".join(lines), as_json)
