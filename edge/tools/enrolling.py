"""An edge asks to be let in and takes the answer: its two private keys are made here and never leave this device."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from hakari import __version__, enrolment, pki
from hakari.enrolment import EnrolmentInvalid, Reply
from hakari.errors import Refused
from hakari.log import keyfile, publicfile, rosterfile
from hakari.log.keyfile import PRIVATE_MODE, KeyFileInvalid, read_private, replace_file, write_new
from hakari.log.note import VerifierKey
from hakari.log.roster import Roster, RosterInvalid, open_roster
from hakari.log.rosterfile import ROSTER_MODE
from hakari.smallfile import read_bytes

CA, ROSTER, OWNER, SETTINGS = "ca.pem", "roster.note", "owner.pem.pub", "edge.toml"
PUBLIC_MODE = 0o644
PENDING = "enrolment.pending"

_EDGE = """\
[edge]
namespace = "{namespace}"
site = "{site}"
name = "{name}"
key_file = "{edge}.pem"
owner_key = "{owner}"
roster_file = "roster.note"
spool = "{edge}.spool"
interval_s = 900
"""
_BROKER = """\
[broker]
host = "{host}"
port = {port}
ca_file = "ca.pem"
certificate_file = "{edge}.tls.pem"
key_file = "{edge}.tls.key"
"""


class EnrolmentRefused(Refused):
    """What is here already stands against it."""


class Pending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request on its way: its hash, and what proves the reply. Private; deleted when the reply was taken."""

    edge: str
    request: str
    reply_key: str


class Installed(NamedTuple):
    """What the reply gave: the text for `edge.toml`, and whether that file was written."""

    edge: str
    settings: str
    written: bool
    until: str


def make_request(folder: Path, edge_id: str, code: str, out: Path) -> str:
    """Writes the request for `edge_id` to a new file; the public log key in base64.

    Keys that were made here before are taken again: they never left this device. Errors: one sentence each.
    """
    enrolment.check_enrollable(edge_id)
    keys = enrolment.secrets_of(code, edge_id)
    if out.exists():
        raise EnrolmentRefused(f"file {out} exists and is not overwritten; choose another name or move it")
    log_file = folder / f"{edge_id}.pem"
    private = keyfile.load(log_file) if log_file.exists() else keyfile.create(log_file)
    public = base64.b64encode(keyfile.public_bytes(private)).decode()
    if not publicfile.beside(log_file).exists():
        publicfile.write(publicfile.beside(log_file), public)
    asked = enrolment.Request(
        edge=edge_id, log_key=public, software=f"hakari {__version__}",
        certificate_request=pki.pem_of(pki.request(_tls_key(folder, edge_id), edge_id)).decode(),
    )  # fmt: skip
    content = enrolment.sealed(asked, keys.request)
    waiting = Pending(edge_id, enrolment.hash_of(content), keys.reply.hex())
    replace_file(folder / PENDING, msgspec.json.encode(waiting), PRIVATE_MODE)
    write_new(out, content, PUBLIC_MODE)
    return public


def install(folder: Path, reply_file: Path) -> Installed:
    """Takes the reply to this device's request: checks all of it, then writes what an edge needs.

    Errors: EnrolmentInvalid, EnrolmentRefused, RosterInvalid, CertificateInvalid; nothing is written then.
    """
    waiting = _pending(folder)
    try:
        content = read_bytes(reply_file, enrolment.MAX_REPLY_BYTES)
    except OSError as error:
        raise EnrolmentInvalid(f"reply {reply_file} cannot be read: {error.strerror}") from error
    reply = enrolment.opened_reply(content, bytes.fromhex(waiting.reply_key))
    if (reply.edge, reply.request) != (waiting.edge, waiting.request):
        raise EnrolmentInvalid(
            f"the reply answers another request, of edge {reply.edge}; send this device's newest one"
        )
    roster, here = _checked(folder, reply), _serial_here(folder, reply)
    edge_id, end = reply.edge, pki.until(pki.certificate_of(reply.certificate.encode()))
    text = _settings(reply)
    written = not (folder / SETTINGS).exists()
    replace_file(folder / f"{edge_id}.tls.pem", reply.certificate.encode(), PUBLIC_MODE)
    replace_file(folder / CA, reply.authority.encode(), PUBLIC_MODE)
    if here < roster.serial:
        replace_file(folder / ROSTER, reply.roster.encode(), ROSTER_MODE)
    replace_file(folder / OWNER, f"{reply.owner_key}\n".encode(), PUBLIC_MODE)
    if written:
        write_new(folder / SETTINGS, text.encode(), PUBLIC_MODE)
    (folder / PENDING).unlink()
    return Installed(edge_id, text, written, f"{end:%Y-%m-%d}")


def _checked(folder: Path, reply: Reply) -> Roster:
    """The roster of a reply whose parts fit one another and this device's keys."""
    owner = VerifierKey.parse(reply.owner_key)
    known = folder / OWNER
    if known.exists() and publicfile.text_of(str(known)) != reply.owner_key:
        raise EnrolmentRefused(f"{known} is another owner's key than the reply's; ask the owner, do not go on")
    roster = open_roster(reply.roster.encode(), owner)
    public = base64.b64encode(keyfile.public_bytes(keyfile.load(folder / f"{reply.edge}.pem"))).decode()
    if not any(key.edge == reply.edge and key.key == public for key in roster.edges):
        raise EnrolmentInvalid(f"the reply's roster does not have this device's key as {reply.edge}; ask for it again")
    certificate = pki.certificate_of(reply.certificate.encode())
    pki.check_pair(certificate, pki.key_of(read_private(folder / f"{reply.edge}.tls.key")))
    try:
        certificate.verify_directly_issued_by(pki.certificate_of(reply.authority.encode()))
    except (ValueError, TypeError, InvalidSignature) as error:
        raise EnrolmentInvalid("the reply's certificate is not signed by its authority; ask for it again") from error
    if pki.common_name(certificate) != reply.edge:
        raise EnrolmentInvalid(f"the reply's certificate is not for {reply.edge}; ask for it again")
    return roster


def _serial_here(folder: Path, reply: Reply) -> int:
    path = folder / ROSTER
    if not path.exists():
        return 0
    try:
        return rosterfile.read(path, VerifierKey.parse(reply.owner_key)).serial
    except (RosterInvalid, rosterfile.RosterFileInvalid) as error:
        raise EnrolmentRefused(
            f"{path} is there and cannot be used: {error}; move it away and say this again"
        ) from error


def _settings(reply: Reply) -> str:
    site, _, name = reply.edge.rpartition("-")
    edge = _EDGE.format(namespace=reply.namespace, site=site, name=name, edge=reply.edge, owner=reply.owner_key)
    return f"{edge}\n{_BROKER.format(host=reply.broker_host, port=reply.broker_port, edge=reply.edge)}"


def _tls_key(folder: Path, edge_id: str) -> EllipticCurvePrivateKey:
    path = folder / f"{edge_id}.tls.key"
    if path.exists():
        return pki.key_of(read_private(path))
    key = pki.new_key()
    write_new(path, pki.private_pem(key), PRIVATE_MODE)
    return key


def _pending(folder: Path) -> Pending:
    try:
        return msgspec.json.decode(read_private(folder / PENDING), type=Pending)
    except (KeyFileInvalid, msgspec.MsgspecError) as error:
        raise EnrolmentRefused(
            f"no request of this device waits for a reply in {folder} ({PENDING}); first: hakari edge enrol --edge …"
        ) from error
