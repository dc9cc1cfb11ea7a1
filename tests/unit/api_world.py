"""Two plants of two owners on real SQLite stores: signed leaves, decoded readings, periods, tokens, one pack."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from api.app import create_app
from api.auth import hash_of
from calc.statement import sign_statement, state_of
from hakari.ledger import result as results
from hakari.ledger.types import PeriodRecord, ProjectRecord, TokenRecord
from hakari.log import rosterfile
from hakari.log.checkpoint import Checkpoint, sign_checkpoint
from hakari.log.note import SigningKey
from hakari.log.roster import NamedKey, Roster
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.pack.layout import STATEMENT as STATEMENT_ENTRY
from hakari.pack.writer import write_into
from hakari.registers.profile import Point, Profile
from hakari.store.evidence import StoredLeaf
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.ledger_sql import SqlLedger
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire import leaf as leaves
from hakari.wire.configuration import Meter, MeteringConfiguration, parts_of, sha256_of, text_of
from hakari.wire.envelope import deflate
from hakari.wire.rows import Place, derive

EPOCH = 1_467_331_200
START_MS = EPOCH * 1000
HOUR_MS = 3_600_000
END_MS = START_MS + 31 * 24 * HOUR_MS
NOW_MS = END_MS + 24 * HOUR_MS
SAMPLES = 24
POINT = "sola-e1/export/energy"
FOREIGN_POINT = "solb-e1/export/energy"
TOKENS = {name: f"hk_{letter * 43}" for name, letter in (("own", "a"), ("all", "b"), ("old", "c"), ("revoked", "d"))}

OWNER = SigningKey("plant.example/owner", Ed25519PrivateKey.from_private_bytes(b"o" * 32))
STATEMENT = SigningKey("plant.example/statement", Ed25519PrivateKey.from_private_bytes(b"s" * 32))

PROFILE = Profile(
    id="export-meter",
    maker="Acme",
    model="One",
    source="made for this test",
    standing="one-source",
    points=[
        Point(name="energy", address=0, type="u32", kind="counter", unit="Wh", exponent=1),
        Point(name="power", address=2, type="i16", kind="gauge", unit="W"),
    ],
)


class Served(NamedTuple):
    """The app over its stores, and the folder that they lie in."""

    app: FastAPI
    ledger: SqlLedger
    evidence: SqliteEvidenceLog
    view: SqliteReadingsView
    folder: Path

    def get(self, path: str, token: str | None = "own", method: str = "GET", **extra: Any) -> httpx.Response:
        """One request through ASGI; a failure of ours comes back as the 500 that a client would see."""
        headers = httpx.Headers(extra.pop("headers", None))
        if token is not None:
            headers["authorization"] = f"Bearer {TOKENS.get(token, token)}"

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
                return await client.request(method, path, headers=headers, **extra)

        return asyncio.run(ask())

    def json(self, path: str, token: str = "own", **extra: Any) -> Any:
        """The JSON of a request that must succeed."""
        response = self.get(path, token, **extra)
        assert response.status_code == 200, response.text
        return response.json()

    def close(self) -> None:
        """Releases the stores."""
        self.ledger.close()
        self.evidence.close()
        self.view.close()


def build(folder: Path) -> Served:
    """The whole world in `folder`."""
    ledger = SqlLedger(f"sqlite:///{folder / 'ledger.sqlite'}")
    ledger.migrate()
    evidence = SqliteEvidenceLog(folder / "evidence.sqlite")
    view = SqliteReadingsView(folder / "view.sqlite")
    for edge_id in ("sola-e1", "solb-e1"):
        _fill(evidence, view, Origin("plant.example", edge_id, EPOCH))
    for project_id, point in (("plant-a", POINT), ("plant-b", FOREIGN_POINT)):
        ledger.put_project(project(project_id, point))
        ledger.put_period(period(project_id, point, "month"))
        ledger.put_period(period(project_id, point, "custom"))
    (folder / "plant-a-month.hakari").write_bytes(pack_of(period("plant-a", POINT, "month")))
    _give_tokens(ledger)
    app = create_app(ledger, view, evidence, lambda: NOW_MS, lambda: [STATEMENT.verifier], folder)
    return Served(app, ledger, evidence, view, folder)


def write_roster(path: Path, *keys: SigningKey) -> None:
    """The owner's roster with these statement keys in a new file."""
    named = [NamedKey(key.verifier.name, str(key.verifier)) for key in keys]
    rosterfile.create(path, lambda: Roster("plant.example", 1, statement_keys=named), OWNER)


def pack_of(period: PeriodRecord) -> bytes:
    """A pack as far as the API reads it: the statement of the period's result."""
    result = results.decode(period.result_json)
    statement = sign_statement(state_of(result, {cut.origin: "ab" * 32 for cut in result.cuts}, {}, 1), STATEMENT)
    file = io.BytesIO()
    write_into(file, {STATEMENT_ENTRY: [statement]})
    return file.getvalue()


def locked(period: PeriodRecord, key: SigningKey = STATEMENT, **changes: Any) -> PeriodRecord:
    """The period as calc locks it: its result, with these changes, and the statement over it."""
    result = msgspec.structs.replace(results.decode(period.result_json), state="locked", **changes)
    hashes = {cut.origin: "ab" * 32 for cut in result.cuts}
    text = results.encode(result)
    return msgspec.structs.replace(
        period,
        state="locked",
        result_json=text,
        result_sha256=results.sha256_of(text),
        statement=sign_statement(state_of(result, hashes, {}, roster_serial=1), key).decode(),
    )


def _give_tokens(ledger: SqlLedger) -> None:
    for name, secret in TOKENS.items():
        expires = NOW_MS if name == "old" else NOW_MS + 1
        projects = ("*",) if name == "all" else ("plant-a",)
        ledger.put_token(TokenRecord(hash_of(secret), name, "verifier", projects, 0, expires))
    ledger.revoke_token("revoked")


def project(project_id: str, point: str) -> ProjectRecord:
    """A registered project whose plan names one point."""
    document = f'[[monitored]]\nparameter = "EG"\noption = "C"\n[[monitored.points]]\npoint = "{point}"\n'
    return ProjectRecord(
        project_id=project_id,
        name="=cmd|' /C calc'!A0 '; DROP TABLE periods; -- <script>",
        country="VN",
        zone="Asia/Ho_Chi_Minh",
        namespace="plant.example",
        methodology_code="PV",
        methodology_version="1.0",
        methodology_sha256="aa" * 32,
        document=document,
        document_sha256=results.sha256_of(document),
        registered_ms=START_MS,
    )


def period(project_id: str, point: str, kind: str) -> PeriodRecord:
    """An open period with a provisional result over the two boundary registers."""
    result = results.PeriodResult(
        v=results.VERSION,
        project=project_id,
        name="n",
        project_sha256="ab" * 32,
        label="2016-07",
        zone="Asia/Ho_Chi_Minh",
        start_ms=START_MS,
        end_ms=END_MS,
        measured_end_ms=END_MS,
        state="provisional",
        methodology=results.MethodologyUsed(
            code="PV",
            version="1.0",
            title="Solar",
            title_ja="太陽光",
            sha256="aa" * 32,
            standing="recalled",
            notice="not checked against the approved text",
            notice_ja="承認文書と未照合",
            formula="EG * EF",
        ),
        rules_version="1",
        rules_sha256="cd" * 32,
        parameters=[results.ParameterUsed("EF", "0.333", "tCO2/MWh", "demo", "DEMO", "", "")],
        reference_tco2="0.0100000000000000000000000000000000000000000001",
        project_tco2="0",
        reductions_tco2="0.0100000000000000000000000000000000000000000001",
        reductions_whole_tco2=0,
        completeness="0.9583",
        vintages=[results.Vintage(2016, START_MS, END_MS, {"EG": "0.46"}, "0.01", "0", "0.01", 0)],
        inputs=[_input(point)],
        lines=[results.Line("T1", point, START_MS, START_MS + HOUR_MS, "1", "", "", "none", "one slot is missing")],
        cuts=[results.Cut(f"plant.example/{point[:4]}/e1/{EPOCH}", 7, base64.b64encode(b"r" * 32).decode())],
        configurations=["ef" * 32],
        refusals=["methodology PV 1.0 is recalled and not published"],
    )
    text = results.encode(result)
    return PeriodRecord(
        period_id=f"{project_id}-{kind}",
        project_id=project_id,
        kind=msgspec.convert(kind, type=Any),
        start_ms=START_MS,
        end_ms=END_MS,
        zone="Asia/Ho_Chi_Minh",
        version=1,
        state="open",
        result_json=text,
        result_sha256=results.sha256_of(text),
        statement="",
        supersedes=None,
        computed_ms=NOW_MS,
    )


def _input(point: str) -> results.Input:
    first = results.Register(START_MS, "00000064", "u32", 1, "1000", "Wh", EPOCH, 1)
    last = results.Register(START_MS + 23 * HOUR_MS, "0000007b", "u32", 1, "1230", "Wh", EPOCH, 6)
    return results.Input(
        parameter="EG",
        role="credited",
        option="C",
        point=point,
        meter_serial="A1",
        accuracy_class="0.5",
        certificate="c-1",
        calibration_valid_to="2018-01-01",
        year=2016,
        start=first,
        end=last,
        quantity="0.23",
        unit="kWh",
        good_slots=23,
        expected_slots=24,
    )


def _fill(evidence: SqliteEvidenceLog, view: SqliteReadingsView, origin: Origin) -> None:
    """Leaf 0 with the configuration, then a leaf for every four hourly samples; hour 5 had no answer."""
    meter = Meter(id="export", bus="rtu", unit=1, serial="A1", profile=PROFILE)
    configuration = MeteringConfiguration(
        v=1, edge=origin.edge_id, interval_ms=HOUR_MS, max_lag_ms=60_000, meters=[meter]
    )
    text = text_of(configuration)
    private = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    known = {sha256_of(text): configuration}
    frontier: tuple[bytes, ...] = ()
    for i in range(1 + SAMPLES // 4):
        samples = [_sample(hour) for hour in range((i - 1) * 4, i * 4)] if i else []
        leaf = leaves.Leaf(
            v=1,
            edge=origin.edge_id,
            epoch=origin.epoch,
            i=i,
            salt=base64.b64encode(bytes([i] * 16)).decode(),
            boot="0123456789abcdef",
            mono_ms=i * HOUR_MS,
            wall_ms=START_MS + i * 4 * HOUR_MS,
            sync=leaves.Sync("lockstep"),
            cfg=sha256_of(text),
            sw="hakari 0",
            samples=samples,
            configuration=None if i else parts_of(text)[0],
        )
        body = leaves.encode(leaf)
        frontier = extend(frontier, i, leaf_hash(body))
        root = root_of(frontier)
        note = sign_checkpoint(Checkpoint(origin, i + 1, root), private)
        with evidence.transaction():
            evidence.append(origin, i, StoredLeaf(i, leaf_hash(body), deflate(body), note, NOW_MS), frontier, root)
        derived = derive(Place(origin.edge_id, origin.epoch, i), leaf, known)
        assert derived.refusals == []
        view.write(origin.edge_id, origin.epoch, i + 1, derived.rows, [], i)


def _sample(hour: int) -> leaves.Sample:
    answer = bytes([3, 6]) + (100 + hour).to_bytes(4, "big") + (-hour).to_bytes(2, "big", signed=True)
    block = leaves.Block(
        meter="export",
        protocol="modbus-tcp",
        request="010300000003",
        wall_ms=START_MS + hour * HOUR_MS,
        round_trip_us=900,
        answer="" if hour == 5 else answer.hex(),
        error="no answer within 1 s" if hour == 5 else "",
    )
    return leaves.Sample(slot_ms=START_MS + hour * HOUR_MS, mono_ms=hour * HOUR_MS, blocks=[block])
