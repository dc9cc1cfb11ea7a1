"""Commands that ask an edge something from afar, and tell what became of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import click

from hakari.cli.keys_options import Command, asking, secret_option
from hakari.cli.output import show, table
from hakari.clock import SystemClock
from hakari.errors import BadConfiguration, Refused
from hakari.log import keystore, publicfile
from hakari.log.keyfile import write_new
from hakari.log.note import NoteInvalid, Signer, take_apart
from hakari.log.publicfile import verifier_of
from hakari.log.request import (
    CONFIGURATION,
    DIAGNOSTICS,
    MAX_BODY_CHARS,
    MAX_REQUEST_BYTES,
    QUESTIONS,
    Request,
    RequestInvalid,
    parse,
    sign_request,
)
from hakari.names import check_edge_id
from hakari.period import time_text
from hakari.settings import beside
from hakari.settings import parse as parse_toml
from hakari.smallfile import TooLarge, read_bytes
from hakari.store.evidence import EvidenceLog
from hakari.wire.events import ANSWERED, REASON, TEXT_PART
from ingest.options import opened_evidence, options
from ingest.outgoing import EXPIRED, UNSENT, Named, answer_to, file_name, named
from ingest.settings import Settings, load_roster, load_settings

HOUR_S = 3600
MAX_HOURS = 31 * 24
NOTE_MODE = 0o640
MAX_SHOWN_CHARS = 200


class RequestRefused(Refused):
    """The request would not be taken as it was given."""


class NoOutgoing(BadConfiguration):
    """Ingest has no folder for requests."""


class Sent(NamedTuple):
    """What is known of a request."""

    edge: str
    serial: int
    kind: str
    made: str
    state: str
    told: str


def _sending(command: Command) -> Command:
    key = click.option(
        "--key", "key_file", required=True, metavar="FILE", type=click.Path(path_type=Path),
        help="The configurer's private key file; FILE.pub beside it says its name.",
    )  # fmt: skip
    hours = click.option(
        "--hours", default=24, show_default=True, type=click.IntRange(1, MAX_HOURS), help="How long it may be taken."
    )
    return options(key(secret_option(hours(command))))


@click.command("send-configuration")
@_sending
@click.argument("edge_id", metavar="EDGE")
@click.argument("file", type=click.Path(path_type=Path))
def send_configuration(
    config: Path, edge_id: str, file: Path, key_file: Path, secret_file: Path | None, hours: int, *, as_json: bool
) -> None:
    """Send an edge other meters or rates, signed.

    FILE is TOML with every [[meter]] of the edge, and in [edge] interval_s, batch_samples or max_lag_s where they
    change. The edge takes it only with remote_configuration = true in its own settings, checks it as
    `hakari edge check` does, and logs whether it was taken. See: hakari ingest requests.
    """
    try:
        body = read_bytes(file, MAX_REQUEST_BYTES).decode()
    except OSError as error:
        raise RequestRefused(f"{file} cannot be read: {error.strerror}; name a file of settings in TOML") from error
    except UnicodeDecodeError as error:
        raise RequestRefused(f"{file} is no UTF-8 at byte {error.start}; save it as UTF-8") from error
    if not 0 < len(body) <= MAX_BODY_CHARS:
        raise RequestRefused(f"{file} has {len(body)} characters; give 1 to {MAX_BODY_CHARS}")
    parse_toml(body, str(file))
    _send(config, Request(edge_id, 1, CONFIGURATION, 0, hours * HOUR_S, body), _signer(key_file, secret_file), as_json)


@click.command("ask")
@_sending
@click.argument("edge_id", metavar="EDGE")
@click.argument("question", type=click.Choice(QUESTIONS))
def ask(
    config: Path, edge_id: str, question: str, key_file: Path, secret_file: Path | None, hours: int, *, as_json: bool
) -> None:
    """Ask an edge how it does: its status, its link to the broker, or its meters on their buses.

    Nothing is read from a meter for it. The answer comes as an event in the edge's log: hakari ingest requests.
    """
    asked = Request(edge_id, 1, DIAGNOSTICS, 0, hours * HOUR_S, question)
    _send(config, asked, _signer(key_file, secret_file), as_json)


@click.command("requests")
@options
@click.option("--edge", "edge_id", default="", metavar="EDGE", help="Only those for one edge, with whole answers.")
def requests(config: Path, edge_id: str, *, as_json: bool) -> None:
    """List signed requests: waiting, answered, refused, expired or unreadable."""
    given = load_settings(config, os.environ)
    folder = _folder(config, given)
    with opened_evidence(config, given) as evidence:
        found = [
            _sent(path, one, evidence)
            for path, one in sorted(_named_in(folder), key=lambda found: found[1])
            if edge_id in ("", one.edge)
        ]
    shown = [one if edge_id else one._replace(told=one.told[:MAX_SHOWN_CHARS]) for one in found]
    show({"requests": [one._asdict() for one in found]}, table(Sent._fields, shown, right=(1,)), as_json)


def _send(config: Path, wanted: Request, signer: Signer, as_json: bool) -> None:
    given = load_settings(config, os.environ)
    folder, roster = _folder(config, given), load_roster(config, given.ingest)
    if signer.verifier not in roster.configurer_keys():
        raise RequestRefused(
            f"{signer.verifier.name} is no configurer of the roster, so no edge would listen; let the owner add it:"
            " hakari keys roster add-configurer"
        )
    if check_edge_id(wanted.edge) not in {one.edge for one in roster.edges}:
        raise RequestRefused(f"the roster has no edge {wanted.edge}; see: hakari keys roster show")
    now_ms = SystemClock().now().wall_ms
    # Milliseconds rise by themselves; two within one are told apart by what lies in the folder.
    used = [one.serial for _, one in _named_in(folder) if one.edge == wanted.edge]
    made_s = now_ms // 1000
    request = wanted._replace(
        serial=max([now_ms, *(one + 1 for one in used)]), made_s=made_s, expires_s=made_s + wanted.expires_s
    )
    path = folder / file_name(request)
    write_new(path, sign_request(request, signer), NOTE_MODE)
    text = f"{path}: request {request.serial} waits for {request.edge}; see: hakari ingest requests"
    show({"edge": request.edge, "serial": request.serial, "file": str(path)}, text, as_json)


def _named_in(folder: Path) -> list[tuple[Path, Named]]:
    """The files that are named as requests are; whatever else lies there is not ours."""
    try:
        found = [(path, named(path)) for path in folder.iterdir()]
    except OSError as error:
        raise NoOutgoing(f"[ingest].outgoing {folder} cannot be read: {error.strerror}; see whose it is") from error
    return [(path, one) for path, one in found if one is not None]


def _sent(path: Path, name: Named, evidence: EvidenceLog) -> Sent:
    try:
        request = parse(take_apart(read_bytes(path, MAX_REQUEST_BYTES)).text)
    except OSError as error:
        return Sent(name.edge, name.serial, "", "", "unreadable", f"{path.name}: {error.strerror}")
    except (NoteInvalid, RequestInvalid, TooLarge) as error:
        return Sent(name.edge, name.serial, "", "", "unreadable", f"{path.name}: {error}")
    made = time_text(request.made_s * 1000)
    state = {EXPIRED: "expired", UNSENT: "not sent: not signed by a configurer"}.get(path.suffix, "waiting")
    told = request.body if request.kind == DIAGNOSTICS else f"sha256 {request.body_sha256}"
    answered = answer_to(evidence, request, {})
    if answered is not None:
        data = answered.event.data
        state = f"{answered.event.kind} in leaf {answered.origin.epoch}/{answered.i}"
        if answered.event.kind == ANSWERED:
            told = "".join(data[f"{TEXT_PART}{k}"] for k in range(len(data)) if f"{TEXT_PART}{k}" in data)
        told = data.get(REASON, told)
    return Sent(request.edge, request.serial, request.kind, made, state, told)


def _folder(config: Path, given: Settings) -> Path:
    if not given.ingest.outgoing:
        raise NoOutgoing(f"{config}: [ingest].outgoing is not given; name a folder that ingest sends requests from")
    folder = beside(config, given.ingest.outgoing)
    if not folder.is_dir():
        raise NoOutgoing(f"[ingest].outgoing {folder} is no folder; make it: mkdir -m 750 {folder}")
    return folder


def _signer(key_file: Path, secret_file: Path | None) -> Signer:
    public = verifier_of(str(publicfile.beside(key_file)))
    signer = keystore.open_key(key_file, asking(secret_file)).named(public.name)
    if signer.verifier != public:
        raise RequestRefused(f"file {publicfile.beside(key_file)} is not the public key of {key_file}")
    return signer
