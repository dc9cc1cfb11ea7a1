"""`hakari keys set-up`: every key, password and the first roster of an installation, in one private folder.

What it makes is what the single commands make; docker-compose.yml and deploy/ read it from there.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.cli.output import show, table
from hakari.errors import BadConfiguration, Refused
from hakari.log import keyfile, publicfile, rosterfile
from hakari.log.keyfile import PRIVATE_MODE, write_new
from hakari.log.mark import Cosigner
from hakari.log.note import SigningKey
from hakari.log.roster import EdgeKey, NamedKey, Roster
from hakari.names import INGEST_CLIENT_ID, BadName, check_edge_id, check_namespace

FOLDER_MODE = 0o700
ENV_MODE = 0o644
CONTAINER_USER = 10001
MAX_EDGES = 1000
MAX_PASSWORDS_BYTES = 1024 * 1024
SECRET_BYTES = 32
SALT_BYTES = 12
HASH_ROUNDS = 101
HEALTH_USER = "health"
INGEST_USERS = "ingest-"
PASSWORDS = "passwords"
ROSTER_FOLDER = "roster"
ROSTER = "roster.note"

# What is made, and for whom; the order is that of making.
ROOM_SECRETS = (
    ("influxdb-operator.token", "InfluxDB: the first token; only the service init has it"),
    ("influxdb-admin.password", "InfluxDB: password of its user admin"),
    ("grafana-admin.password", "Grafana: password of its user admin"),
)


class FolderTaken(Refused):
    """Keys would be mixed with what is there already."""


class UserTaken(Refused):
    """The broker knows the user already."""


class UserInvalid(BadConfiguration):
    """A name cannot be a user of the broker, or the passwords file cannot be used."""


class Made(NamedTuple):
    """One file and what it is for."""

    file: str
    what: str


class Person(NamedTuple):
    """Whose files these become: the user of the containers."""

    uid: int
    gid: int


def person() -> Person:
    """Who runs this; for root, the user whom the containers run as then."""
    return Person(os.getuid(), os.getgid()) if os.getuid() else Person(CONTAINER_USER, CONTAINER_USER)


@click.command("set-up")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--namespace", required=True, help="Domain name of the plant's owner, such as plant.example.")
@click.option("--edge", "edges", multiple=True, metavar="EDGE", help="An edge elsewhere: gets a password.")
@click.option("--edge-here", "here", multiple=True, metavar="EDGE", help="An edge on this machine: gets a key too.")
@click.option("--env", "env", metavar="FILE", type=click.Path(path_type=Path), help="[default: FOLDER/compose.env]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def set_up(
    *, folder: Path, namespace: str, edges: tuple[str, ...], here: tuple[str, ...], env: Path | None, as_json: bool
) -> None:
    """Make every key, password and the first roster of an installation in FOLDER (new or empty).

    FILE gets what docker-compose.yml has to know; nothing in it is secret. Run this beside docker-compose.yml, or
    name FOLDER by its whole path. All else is readable by you alone; run by root, it belongs to user 10001, whom
    the containers then run as. Nothing is ever overwritten.
    """
    check_namespace(namespace)
    users = [*edges, *here]
    if len(users) > MAX_EDGES or len(set(users)) < len(users):
        raise UserInvalid(f"{len(users)} edges are given; give each once, at most {MAX_EDGES}")
    for edge_id in users:
        _check_edge(edge_id)
    env_file = env or folder / "compose.env"
    if env_file.exists() or (folder.exists() and any(folder.iterdir())):
        taken = env_file if env_file.exists() else folder
        raise FolderTaken(f"{taken} exists and is not overwritten; move it away or name another")
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    (folder / ROSTER_FOLDER).mkdir(mode=FOLDER_MODE)
    owner, made = _keys(folder, namespace, here)
    made += _passwords(folder, users)
    write_new(env_file, _env_text(folder, namespace, owner).encode(), ENV_MODE)
    made.append(Made(str(env_file), "docker compose: where all this is, and the owner's public key"))
    _hand_over(folder, person())
    told = {"folder": str(folder), "owner_key": owner, "env": str(env_file), "files": [one._asdict() for one in made]}
    show(told, _shown(folder, owner, made), as_json)


@click.command("broker-user")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("edge_id", metavar="EDGE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def broker_user(folder: Path, edge_id: str, as_json: bool) -> None:
    """Make a broker's password for one more edge in FOLDER, as `set-up` did for the first ones.

    Then let the broker read its file again: docker compose kill --signal SIGHUP broker
    """
    _check_edge(edge_id)
    made = _add_user(folder, edge_id)
    _hand_over(folder, person())
    show(made._asdict(), f"{folder / made.file}: {made.what}", as_json)


def hashed(user: str, password: str) -> str:
    """The user's line in Mosquitto's password file: PBKDF2 over SHA-512 with a salt of its own.

    The password is 256 random bits, so few rounds do; they would not for a chosen one.
    """
    salt = secrets.token_bytes(SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, HASH_ROUNDS)
    return f"{user}:$7${HASH_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _check_edge(edge_id: str) -> None:
    try:
        check_edge_id(edge_id)
    except BadName as error:
        raise UserInvalid(str(error)) from error
    if edge_id.startswith(INGEST_USERS):
        raise UserInvalid(f"{edge_id} is ingest's own name; give the edge another")


def _keys(folder: Path, namespace: str, here: Sequence[str]) -> tuple[str, list[Made]]:
    """The owner's public key and what was made."""
    owner = SigningKey(f"{namespace}/owner", _key(folder, "owner"))
    ingest = Cosigner(f"{namespace}/ingest", _key(folder, "ingest"))
    statement = SigningKey(f"{namespace}/statement", _key(folder, "statement"))
    publics = {"owner": owner.verifier, "ingest": ingest.verifier, "statement": statement.verifier}
    for name, verifier in publics.items():
        publicfile.write(publicfile.beside(folder / f"{name}.pem"), str(verifier))
    edges = []
    for edge_id in here:
        public = base64.b64encode(keyfile.public_bytes(_key(folder, edge_id))).decode()
        publicfile.write(publicfile.beside(folder / f"{edge_id}.pem"), public)
        edges.append(EdgeKey(edge_id, public))
    cosigners, statements = ([NamedKey(key.name, str(key))] for key in (ingest.verifier, statement.verifier))
    first = Roster(namespace, 1, edges, cosigners=cosigners, statement_keys=statements)
    rosterfile.create(folder / ROSTER_FOLDER / ROSTER, lambda: first, owner)
    return str(owner.verifier), [
        Made("owner.pem", "the OWNER's key, signs the roster: keep it off-line, not on this machine"),
        Made("ingest.pem", "ingest: signs stored marks"),
        Made("statement.pem", "calc: signs statements"),
        *(Made(f"{edge_id}.pem", f"edge {edge_id}: signs its leaves") for edge_id in here),
        Made(f"{ROSTER_FOLDER}/{ROSTER}", "every room: whom to trust, signed by the owner"),
    ]


def _key(folder: Path, name: str) -> Ed25519PrivateKey:
    return keyfile.create(folder / f"{name}.pem")


def _passwords(folder: Path, edges: Sequence[str]) -> list[Made]:
    write_new(folder / PASSWORDS, b"", PRIVATE_MODE)
    made = [_add_user(folder, user) for user in (INGEST_CLIENT_ID, HEALTH_USER, *edges)]
    for file, what in ROOM_SECRETS:
        _write_secret(folder / file)
        made.append(Made(file, what))
    return [*made, Made(PASSWORDS, "broker: the users' passwords, hashed")]


def _add_user(folder: Path, user: str) -> Made:
    """A new password for `user` beside its hash, which is appended, so that a mounted file stays the same file."""
    path = folder / PASSWORDS
    try:
        with path.open("rb") as file:
            known = file.read(MAX_PASSWORDS_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserInvalid(f"{path} cannot be read ({error}); make the folder with: hakari keys set-up") from error
    if len(known) > MAX_PASSWORDS_BYTES or any(line.startswith(f"{user}:") for line in known.splitlines()):
        raise UserTaken(f"{path} has user {user} already, or is full; remove its line to give it another password")
    password = _write_secret(folder / f"{user}.password")
    with path.open("a", encoding="ascii") as file:
        file.write(hashed(user, password) + "\n")
    whose = {INGEST_CLIENT_ID: "ingest", HEALTH_USER: "broker's own health check"}.get(user, f"edge {user}")
    return Made(f"{user}.password", f"{whose}: password at the broker")


def _write_secret(path: Path) -> str:
    secret = secrets.token_urlsafe(SECRET_BYTES)
    write_new(path, f"{secret}\n".encode(), PRIVATE_MODE)
    return secret


def _env_text(folder: Path, namespace: str, owner: str) -> str:
    user = person()
    place = folder if folder.is_absolute() else f"./{folder}"
    return (
        "# Made by `hakari keys set-up` for docker-compose.yml. Nothing here is secret.\n"
        f"HAKARI_SECRETS='{place}'\nHAKARI_NAMESPACE={namespace}\nHAKARI_OWNER_KEY={owner}\n"
        f"HAKARI_UID={user.uid}\nHAKARI_GID={user.gid}\n"
        "# Whom Grafana mails its alerts to.\n"
        f"HAKARI_OPS_MAIL=ops@{namespace}\n"
    )


def _hand_over(folder: Path, user: Person) -> None:
    if os.getuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user.uid, user.gid)


def _shown(folder: Path, owner: str, made: Sequence[Made]) -> str:
    return (
        f"{table(('file', 'what it is for'), made)}\n\n"
        f"All in {folder}, readable by you alone; each .pem has its public text beside it (.pem.pub).\n"
        f"The owner's public key, which everything is trusted by; print it in the contract or project document:\n"
        f"  {owner}"
    )
