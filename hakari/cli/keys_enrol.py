"""`hakari keys invite` and `admit`: lets an edge in by a one-time code, over files that anybody may carry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from hakari import enrolment, pki
from hakari.cli.authority import INVITATIONS, AuthorityDamaged, AuthorityFolder, AuthorityRefuses, Deed
from hakari.cli.keys_options import OwnerGiven, as_json_option, owner_options
from hakari.cli.output import show
from hakari.enrolment import Reply, Request
from hakari.log import rosterfile
from hakari.log.keyfile import PRIVATE_MODE, read_private, write_new
from hakari.log.note import Signer
from hakari.log.publicfile import edge_public_of
from hakari.log.roster import EdgeKey, Roster
from hakari.names import check_address
from hakari.smallfile import read_bytes

MAX_HOURS = 24 * 30

_AUTHORITY = click.option(
    "--authority", "folder", required=True, metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
    help="The authority's folder.",
)  # fmt: skip


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An open invitation: the two keys derived from its code. Once used, both are gone and `used` names the request."""

    edge: str
    expires: datetime
    request_key: str = ""
    reply_key: str = ""
    used: str = ""


@click.command()
@_AUTHORITY
@click.option("--edge", "edge_id", required=True, metavar="EDGE", help="Edge id, such as sola-e1.")
@click.option(
    "--hours", type=click.IntRange(1, MAX_HOURS), default=72, show_default=True, help="How long the code can be used."
)
@as_json_option
def invite(folder: Path, edge_id: str, hours: int, as_json: bool) -> None:
    """Print a one-time code, with which one edge can ask to be let in.

    Tell it to who sets the edge up, by voice or on paper, not with the files. An earlier code for this edge ends.
    """
    enrolment.check_enrollable(edge_id)
    code, now = enrolment.new_code(), datetime.now(UTC)
    keys = enrolment.secrets_of(code, edge_id)
    expires = now + timedelta(hours=hours)
    with AuthorityFolder(folder) as opened:
        _put(opened, Invitation(edge_id, expires, keys.request.hex(), keys.reply.hex()))
        opened.note(Deed(now, "invited", edge_id))
    told = (
        f"{code}\nfor edge {edge_id}, until {expires:%Y-%m-%d %H:%M} UTC, once. On the edge:\n"
        f"  hakari edge enrol --edge {edge_id} --code CODE --request {edge_id}.request"
    )
    show({"edge": edge_id, "code": code, "expires": expires}, told, as_json)


@click.command()
@click.argument("request_file", metavar="REQUEST", type=click.Path(path_type=Path))
@_AUTHORITY
@click.option(
    "--roster", "roster_file", required=True, metavar="ROSTER", type=click.Path(path_type=Path), help="Its file."
)
@owner_options
@click.option("--broker", required=True, metavar="HOST:PORT", help="Where the edge reaches the broker.")
@click.option("--reply", required=True, metavar="FILE", type=click.Path(path_type=Path), help="New file.")
@click.option(
    "--days",
    type=click.IntRange(1, pki.MAX_DAYS),
    default=pki.CLIENT_DAYS,
    show_default=True,
    help="Of the certificate.",
)
@as_json_option
def admit(
    *,
    request_file: Path,
    folder: Path,
    roster_file: Path,
    owner: OwnerGiven,
    broker: str,
    reply: Path,
    days: int,
    as_json: bool,
) -> None:
    """Let the edge in that made REQUEST with its code: certificate, key in the roster, and a reply for it.

    Give the new roster to every room. A device that replaces another: end the old key first (`roster revoke`); the new
    one holds from there on.
    """
    host, _, port = check_address(broker, "--broker").rpartition(":")
    if reply.exists():
        raise AuthorityRefuses(f"file {reply} exists and is not overwritten; choose another name or move it")
    content = _request_in(request_file)
    edge_id, now = enrolment.claimed_edge(content), datetime.now(UTC)
    with AuthorityFolder(folder) as opened:
        invitation = _open_invitation(opened, edge_id, content, now)
        asked = _proven(content, invitation)
        public = pki.public_of_request(asked.certificate_request.encode(), edge_id)
        signer = owner.signer()
        signed = _in_roster(roster_file, signer, edge_id, edge_public_of(asked.log_key))
        certificate = opened.issue_client(public, edge_id, now, days)
        answer = Reply(
            edge=edge_id, request=enrolment.hash_of(content), certificate=certificate.decode(),
            authority=opened.certificate_pem.decode(),
            roster=rosterfile.read_signed(roster_file, signer.verifier).note.decode(),
            namespace=signed.namespace, owner_key=str(signer.verifier), broker_host=host, broker_port=int(port),
        )  # fmt: skip
        write_new(reply, enrolment.sealed(answer, bytes.fromhex(invitation.reply_key)), PRIVATE_MODE)
        _put(opened, Invitation(edge_id, invitation.expires, used=enrolment.hash_of(content)))
        opened.note(Deed(now, "admitted", edge_id))
    _say(asked, reply, signed, as_json)


def _say(asked: Request, reply: Path, signed: Roster, as_json: bool) -> None:
    told = (
        f"{reply}: edge {asked.edge} ({asked.software}) is in roster {signed.serial}. On the edge:\n"
        f"  hakari edge enrol --reply {reply.name}\nGive the new roster to ingest and to every other room."
    )
    show({"edge": asked.edge, "reply": str(reply), "serial": signed.serial, "log_key": asked.log_key}, told, as_json)


def _proven(content: bytes, invitation: Invitation) -> Request:
    try:
        return enrolment.opened_request(content, bytes.fromhex(invitation.request_key))
    except enrolment.EnrolmentInvalid as error:
        raise enrolment.EnrolmentInvalid(
            f"{error}; the code typed there may be another edge's, or an earlier one of {invitation.edge}"
        ) from error


def _request_in(path: Path) -> bytes:
    try:
        return read_bytes(path, enrolment.MAX_REQUEST_BYTES)
    except OSError as error:
        raise enrolment.EnrolmentInvalid(f"request {path} cannot be read: {error.strerror}") from error


def _open_invitation(opened: AuthorityFolder, edge_id: str, content: bytes, now: datetime) -> Invitation:
    again = f"make a new one with: hakari keys invite --edge {edge_id}"
    path = opened.folder / INVITATIONS / f"{edge_id}.json"
    if not path.is_file():
        raise AuthorityRefuses(f"edge {edge_id} was not invited; {again}")
    try:
        found = msgspec.json.decode(read_private(path), type=Invitation)
    except msgspec.MsgspecError as error:
        raise AuthorityDamaged(f"{path}: {error}; {again}") from error
    if found.used:
        which = "this very request" if found.used == enrolment.hash_of(content) else "another request"
        raise AuthorityRefuses(f"the code of edge {edge_id} was used already, with {which}; {again}")
    if found.expires <= now:
        raise AuthorityRefuses(f"the code of edge {edge_id} ended at {found.expires:%Y-%m-%d %H:%M} UTC; {again}")
    return found


def _put(opened: AuthorityFolder, invitation: Invitation) -> None:
    opened.replace(f"{INVITATIONS}/{invitation.edge}.json", msgspec.json.encode(invitation), PRIVATE_MODE)


def _in_roster(path: Path, signer: Signer, edge_id: str, public: str) -> Roster:
    """The roster in which the edge has this key from where its last one ended; one that has it already is left."""
    known = rosterfile.read(path, signer.verifier)
    own = [key for key in known.edges if key.edge == edge_id]
    present = [key for key in own if key.until_epoch is None]
    if any(key.key == public for key in present):
        return known
    if present:
        raise AuthorityRefuses(
            f"edge {edge_id} has a key in the roster already; if this device replaces that one, end its key first:"
            f" hakari keys roster revoke --edge {edge_id}"
        )
    start = max((key.end for key in own), default=(0, 0))
    added = EdgeKey(edge_id, public, *start)
    return rosterfile.amend(path, signer, lambda old: old.following(edges=[*old.edges, added]))
