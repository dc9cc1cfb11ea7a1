"""The doctor's checks of what is at the other end of a line: meters and broker. Meters get nothing but reads."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as paho
from cryptography import x509
from paho.mqtt.reasoncodes import ReasonCode

from edge.modbus.bus import is_silent
from edge.modbus.buses import open_bus
from edge.reads.once import ask, waits_for
from edge.reads.plan import MeterPlan, plan_of
from edge.settings import BusTable, Settings, edge_id_of, metering_configuration
from edge.tools.cause import line_problem, meaning_of
from edge.tools.doctor import Check, certificate
from hakari.clock import SystemClock
from hakari.errors import HakariError
from hakari.mqtt import BrokerSettings, client
from hakari.names import mark_topic
from hakari.pki import MAX_PEM_BYTES, days_left
from hakari.registers.decode import IDENTITY_MISMATCH, decode_sample
from hakari.settings import within
from hakari.smallfile import read_bytes
from hakari.tlsreason import words_of

CONNECT_S = 5.0
LOGIN_S = 10.0
ALERT_S = 1.0
DAY_S = 86_400
BROKER_FIX = "see [broker].host and port, the network, and whether the broker runs"


async def bus_checks(told: Settings, folder: Path, *, running: bool) -> AsyncIterator[Check]:
    """Each bus and each meter on it; a serial line that a running edge reads is left alone."""
    try:
        plans = plan_of(metering_configuration(told, folder))
    except HakariError as error:
        yield Check("bus", "meters", "warn", f"not asked: {error}", "correct that first")
        return
    for bus in told.buses:
        if _is_missing(bus):
            yield Check("bus", bus.id, "fail", f"no such device {bus.device}", "plug the adapter in, or correct device")
            continue
        if running and bus.kind == "rtu":
            yield Check("bus", bus.id, "warn", "not asked: the running edge owns the serial line", "see `edge status`")
            continue
        if problem := line_problem(bus):
            yield Check("bus", bus.id, "fail", f"does not open; {problem}", "meters on it are not read until it does")
            continue
        yield Check("bus", bus.id, "ok", "opens")
        for plan in plans:
            if plan.meter.bus == bus.id:
                yield await _meter(bus, plan)


def _is_missing(bus: BusTable) -> bool:
    """Whether the serial device is not there; it is not opened."""
    return bus.kind == "rtu" and not Path(bus.device).exists()


async def _meter(bus: BusTable, plan: MeterPlan) -> Check:
    """One meter, read once as the edge reads it."""
    profile, unit = plan.meter.profile, plan.meter.unit
    line = open_bus(bus, waits_for(profile, unit))
    try:
        exchanges = await ask(line, plan.requests, SystemClock())
    finally:
        line.close()
    name = f"{bus.id}/{plan.meter.id}"
    if all(is_silent(one.error) for one in exchanges):
        why = meaning_of(exchanges[0].error, bus, unit)
        return Check("bus", name, "fail", f"no answer; {why}", "its values are BAD until it answers")
    failed = [one.error for one in exchanges if one.error]
    blocks = decode_sample(profile, plan.meter.id, [(one.request, one.answer, one.error) for one in exchanges])
    wrong = [one.reason for block in blocks for one in block if one.reason.startswith(IDENTITY_MISMATCH)]
    if wrong:
        return Check("bus", name, "fail", f"another meter answers: {wrong[0]}", "see `hakari edge replace-meter`")
    took_ms = max(one.round_trip_us for one in exchanges) // 1000
    if failed:
        told = f"answers, and {len(failed)} of {len(exchanges)} requests fail: {failed[0]}"
        return Check("bus", name, "warn", told, "see `hakari edge read`, and whether the profile fits its firmware")
    return Check("bus", name, "ok", f"answers {len(exchanges)} requests, the slowest in {took_ms} ms")


def broker_checks(told: Settings, folder: Path, *, running: bool) -> Iterator[Check]:
    """The way to the broker, step by step up to hearing marks; it ends at the first step that fails."""
    settings = told.broker
    for step in (_resolves, _connects):
        found = step(settings)
        yield found
        if found.state == "fail":
            return
    if settings.ca_file:
        tls = list(_tls(settings, folder))
        yield from tls
        if any(one.state == "fail" for one in tls):
            return
    else:
        yield Check("broker", "TLS", "warn", "not used: everything is sent in clear", "give [broker].ca_file")
    if running:
        yield Check(
            "broker", "login", "ok", "not tried: a second login would end the running edge's own; see `edge status`"
        )
    else:
        yield from _login(settings, folder, edge_id_of(told))


def _resolves(settings: BrokerSettings) -> Check:
    try:
        found = sorted({str(one[4][0]) for one in socket.getaddrinfo(settings.host, settings.port)})
    except OSError as error:
        return Check(
            "broker", "name", "fail", f"{settings.host} is not known: {error.strerror}", "see DNS and the name"
        )
    return Check("broker", "name", "ok", f"{settings.host} is {', '.join(found[:4])}")


def _connects(settings: BrokerSettings) -> Check:
    place = f"{settings.host}:{settings.port}"
    try:
        with socket.create_connection((settings.host, settings.port), CONNECT_S):
            return Check("broker", "connection", "ok", f"{place} accepts connections")
    except OSError as error:
        return Check("broker", "connection", "fail", f"{place}: {error.strerror or 'no answer'}", BROKER_FIX)


def _tls(settings: BrokerSettings, folder: Path) -> Iterator[Check]:
    if settings.certificate_file:
        yield _own_certificate(within(folder, settings.certificate_file))
    try:
        context = ssl.create_default_context(cafile=str(within(folder, settings.ca_file)))
        if settings.certificate_file:
            context.load_cert_chain(within(folder, settings.certificate_file), within(folder, settings.key_file))
        with (
            socket.create_connection((settings.host, settings.port), CONNECT_S) as plain,
            context.wrap_socket(plain, server_hostname=settings.host) as secured,
        ):
            content = secured.getpeercert(binary_form=True) or b""
            _heard(secured)
            yield Check("broker", "TLS", "ok", f"{secured.version()}, the chain leads to {settings.ca_file}")
    except (OSError, ValueError) as error:
        why = (words_of(error) if isinstance(error, ssl.SSLError) else "") or str(error)
        yield Check("broker", "TLS", "fail", f"refused: {why}", "see ca_file, the certificates and the broker's name")
        return
    yield certificate("its certificate", _days_left(x509.load_der_x509_certificate(content)))


def _heard(secured: ssl.SSLSocket) -> None:
    """Returns when the broker goes on after the handshake: in TLS 1.3 only then it refuses our certificate."""
    secured.settimeout(ALERT_S)
    try:
        if not secured.recv(1):
            raise ConnectionResetError("the broker ends the connection after the handshake; see its log")
    except TimeoutError:
        return


def _own_certificate(path: Path) -> Check:
    try:
        return certificate("own certificate", days_left(read_bytes(path, MAX_PEM_BYTES), datetime.now(UTC)))
    except (OSError, HakariError) as error:
        return Check("broker", "own certificate", "fail", f"{path}: {error}", "give a PEM certificate")


def _days_left(found: x509.Certificate) -> float:
    return (found.not_valid_after_utc - datetime.now(UTC)).total_seconds() / DAY_S


def _login(settings: BrokerSettings, folder: Path, edge_id: str) -> Iterator[Check]:
    """Logs in as the edge, and asks to hear its marks; nothing is published."""
    topic = mark_topic(edge_id)
    said: dict[str, str] = {}
    done = threading.Event()

    def connected(made: paho.Client, _data: object, _flags: object, reason: object, _properties: object) -> None:
        said["login"] = str(reason) if getattr(reason, "is_failure", False) else ""
        if said["login"]:
            done.set()
        else:
            made.subscribe(topic, qos=0)

    def subscribed(_c: object, _d: object, _mid: object, reasons: Sequence[ReasonCode], _properties: object) -> None:
        said["marks"] = next((str(one) for one in reasons if one.is_failure), "")
        done.set()

    try:
        made = client(settings, folder, edge_id, clean=True)
        made.on_connect, made.on_subscribe = connected, subscribed
        made.connect(settings.host, settings.port, settings.keepalive_s)
    except (OSError, HakariError) as error:
        yield Check("broker", "login", "fail", str(error), BROKER_FIX)
        return
    made.loop_start()
    done.wait(LOGIN_S)
    made.disconnect()
    made.loop_stop()
    yield _verdict("login", said.get("login"), f"accepted as {edge_id}", "see the user at the broker and its password")
    if said.get("login") == "":
        yield _verdict("marks", said.get("marks"), f"may hear {topic}", "correct the broker's access list")


def _verdict(name: str, said: str | None, good: str, fix: str) -> Check:
    if said is None:
        return Check(
            "broker", name, "fail", f"no answer within {LOGIN_S:g} s", "see whether an MQTT broker listens there"
        )
    return Check("broker", name, "fail", f"refused: {said}", fix) if said else Check("broker", name, "ok", good)
