"""`hakari keys authority …`: certificates for the broker's TLS, and the broker's ready folder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from hakari import pki
from hakari.cli.authority import FOLDER_MODE, PUBLIC_MODE, AuthorityFolder, AuthorityRefuses
from hakari.cli.broker_files import HEALTH_USER, INGEST_USERS, Sender, access_list, check_sender_name, configuration
from hakari.cli.keys_options import Command, as_json_option
from hakari.cli.output import show, table
from hakari.log.keyfile import PRIVATE_MODE, write_new
from hakari.names import INGEST_CLIENT_ID, check_local, source_client_id

DEFAULT_PORT = 8883


def _folder(command: Command) -> Command:
    return click.argument("folder", metavar="AUTHORITY", type=click.Path(path_type=Path, file_okay=False))(command)


def _days(default: int) -> Callable[[Command], Command]:
    limits = click.IntRange(1, pki.MAX_DAYS)
    return click.option("--days", type=limits, default=default, show_default=True, help="How long it holds.")


def _client_name(command: Command) -> Command:
    return click.option("--name", required=True, metavar="NAME", help="Name in the certificate: edge id or user.")(
        command
    )


def _hosts(command: Command) -> Command:
    text = "A name or IP address by which clients reach the broker. Repeatable."
    return click.option("--host", "hosts", multiple=True, required=True, metavar="HOST", help=text)(command)


@click.group()
def authority() -> None:
    """Certificates for the broker's TLS: who may connect, and as whom.

    The name in a certificate is the user name and client id at the broker. AUTHORITY is a private folder, which holds
    the authority's key: keep it off the plant's machines, beside the owner's key, and back it up.
    """


@authority.command()
@_folder
@click.option("--name", required=True, help="Name of the authority, such as plant.example.")
@_days(pki.AUTHORITY_DAYS)
@as_json_option
def new(folder: Path, name: str, days: int, as_json: bool) -> None:
    """Make an authority in a new or empty folder."""
    AuthorityFolder.create(folder, name, datetime.now(UTC), days)
    with AuthorityFolder(folder) as opened:
        end = pki.until(pki.certificate_of(opened.certificate_pem))
    told = f"{folder}: authority {name}, until {end:%Y-%m-%d}; keep this folder private and back it up"
    show({"folder": str(folder), "name": name, "until": end}, told, as_json)


@authority.command()
@_folder
@_hosts
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="New folder; not there yet.")
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="Of the listener.")
@click.option("--sender", "senders", multiple=True, metavar="NAME=TOPIC", help="Another sender's right. Repeatable.")
@_days(pki.SERVER_DAYS)
@as_json_option
def broker(
    *,
    folder: Path,
    hosts: tuple[str, ...],
    out: Path,
    port: int,
    senders: tuple[str, ...],
    days: int,
    as_json: bool,
) -> None:
    """Write all that Mosquitto needs into a new folder: configuration, access list, certificate, key.

    Start it there: `mosquitto -c mosquitto.conf`. A sender is a data logger or gateway with topics of its own.
    """
    acl = access_list([_sender(text) for text in senders])
    key = pki.new_key()
    if out.exists():
        raise AuthorityRefuses(f"{out} exists and is not overwritten; name another folder, or move it")
    with AuthorityFolder(folder) as opened:
        certificate = opened.issue_server(key.public_key(), hosts, datetime.now(UTC), days)
        public = {"ca.pem": opened.certificate_pem, "crl.pem": opened.crl_pem, "server.pem": certificate}
    out.mkdir(mode=FOLDER_MODE, parents=True)
    texts = {"mosquitto.conf": configuration(port), "acl": acl}
    for name, content in {**public, **{name: text.encode() for name, text in texts.items()}}.items():
        # Mosquitto warns of an access list that others can read.
        write_new(out / name, content, PRIVATE_MODE if name == "acl" else PUBLIC_MODE)
    write_new(out / "server.key", pki.private_pem(key), PRIVATE_MODE)
    told = (
        f"{out}: ready. Give it to the user whom Mosquitto runs as: chown -R mosquitto: {out}\n"
        f"and start it there: cd {out} && mosquitto -c mosquitto.conf"
    )
    show({"folder": str(out), "hosts": hosts, "port": port}, told, as_json)


@authority.command()
@_folder
@_hosts
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="New; key in FILE.key.")
@_days(pki.SERVER_DAYS)
@as_json_option
def server(folder: Path, hosts: tuple[str, ...], out: Path, days: int, as_json: bool) -> None:
    """Make a new certificate and key for the broker, to renew the one in its folder."""
    key = pki.new_key()
    with AuthorityFolder(folder) as opened:
        write_new(_beside(out), pki.private_pem(key), PRIVATE_MODE)
        write_new(out, opened.issue_server(key.public_key(), hosts, datetime.now(UTC), days), PUBLIC_MODE)
    _say_written(out, hosts[0], as_json)


@authority.command()
@_folder
@_client_name
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="New; key in FILE.key.")
@click.option("--sender", is_flag=True, help="It is another sender, with topics of its own: see `broker --sender`.")
@_days(pki.CLIENT_DAYS)
@as_json_option
def client(*, folder: Path, name: str, out: Path, sender: bool, days: int, as_json: bool) -> None:
    """Make certificate and key of a client that is no edge: ingest-all, ingest-00 to ingest-ff, health.

    With --sender that of a data logger or gateway. An edge's key is made on the edge: `hakari keys invite`.
    """
    if sender:
        check_sender_name(name)
    elif name not in (*INGEST_USERS, HEALTH_USER) and not name.startswith(source_client_id("")):
        raise AuthorityRefuses(
            f"{name[:80]!r} is none of ours ({INGEST_CLIENT_ID}, ingest-00 to ingest-ff, {HEALTH_USER}); say --sender"
            " for another sender, and for an edge: hakari keys invite"
        )
    else:
        check_local(name.replace("-", "_"), "name")
    key = pki.new_key()
    with AuthorityFolder(folder) as opened:
        if any(deed.name == name and deed.what in ("invited", "admitted") for deed in opened.deeds()):
            raise AuthorityRefuses(f"{name} is an edge: its key is made there; to let it in: hakari keys invite")
        write_new(_beside(out), pki.private_pem(key), PRIVATE_MODE)
        write_new(out, opened.issue_client(key.public_key(), name, datetime.now(UTC), days), PUBLIC_MODE)
    _say_written(out, name, as_json)


@authority.command()
@_folder
@_client_name
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="New file.")
@_days(pki.CLIENT_DAYS)
@as_json_option
def renew(folder: Path, name: str, out: Path, days: int, as_json: bool) -> None:
    """Renew a client's certificate; its key stays where it is.

    The new file holds no secret. Move it over the client's certificate_file: it is used from the next connection on,
    without a restart.
    """
    with AuthorityFolder(folder) as opened:
        write_new(out, opened.renew(name, datetime.now(UTC), days), PUBLIC_MODE)
    show({"name": name, "certificate_file": str(out)}, f"{out}: certificate of {name}, {days} days", as_json)


@authority.command()
@_folder
@_client_name
@as_json_option
def revoke(folder: Path, name: str, as_json: bool) -> None:
    """Revoke every certificate of a name: the broker no longer lets it in.

    Copy AUTHORITY/crl.pem over the broker's and restart the broker, which loses nothing and ends open connections.
    What an edge has signed is judged by the roster: for a stolen edge say `hakari keys roster revoke` too.
    """
    with AuthorityFolder(folder) as opened:
        serials = opened.revoke(name, datetime.now(UTC))
    told = f"{name}: {len(serials)} certificates revoked; copy {folder / 'crl.pem'} to the broker and restart it"
    show({"name": name, "revoked": serials}, told, as_json)


@authority.command(name="list")
@_folder
@as_json_option
def list_(folder: Path, as_json: bool) -> None:
    """List every certificate that was issued, and until when it holds."""
    with AuthorityFolder(folder) as opened:
        found = opened.issued(datetime.now(UTC), servers=True)
    rows = [(one.name, one.serial, f"{one.until:%Y-%m-%d %H:%M}", one.days_left, one.state) for one in found]
    show(found, table(("name", "serial", "until (UTC)", "days", "state"), rows, right=(3,)), as_json)


def _sender(text: str) -> Sender:
    name, found, topic = text.partition("=")
    if not found:
        raise click.UsageError(f"{text[:80]!r} is not NAME=TOPIC, such as logger-1=loggers/logger-1/#")
    return Sender(name, topic)


def _beside(out: Path) -> Path:
    return out.with_name(f"{out.name}.key")


def _say_written(out: Path, name: str, as_json: bool) -> None:
    told = {"name": name, "certificate_file": str(out), "key_file": str(_beside(out))}
    show(told, f"{out}: certificate of {name}; its key is {_beside(out)}, mode 0600", as_json)
