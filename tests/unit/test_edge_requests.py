"""What an edge does with signed requests: once each, answered by one event each, and nothing beside metering."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.afar import BeyondAfar
from edge.asked import answer, shortened, taken_from_afar
from edge.commission.identity import Commissioned, Known, commissioned_key, identity_key, text_of_note, with_notes
from edge.log import EdgeLog
from edge.reload import configuration_in_force
from edge.requests import MAX_SETTLED, MAX_WAITING, Requests
from edge.settings import FROM_AFAR, load_settings, metering_configuration
from edge.spool import Spool
from hakari.clock import UNSYNCHRONISED, PlantTime
from hakari.errors import HakariError, Refused
from hakari.log.note import SigningKey
from hakari.log.request import Request, sign_request
from hakari.registers.profile_hash import profile_sha256
from hakari.wire.leaf import Event
from tests.unit.edge_folder import TWO_BUSES, settings_in
from tests.unit.test_edge_log import CONFIGURATION, leaves, log_on

KEY = SigningKey("plant.example/engineer", Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
NOW_S = 1_700_000_000
BASE = TWO_BUSES[TWO_BUSES.index("[[meter]]") :]


class Hands:
    """Plant time as a test sets it."""

    def __init__(self) -> None:
        self.sync = "test"
        self.s = NOW_S

    def now(self) -> PlantTime:
        return PlantTime(self.s * 1000, 0, self.sync)


class Asked:
    """An edge's log with requests heard by hand, what they configured, and the events that answered."""

    def __init__(self) -> None:
        self.clock = Hands()
        self.log: EdgeLog = log_on(Spool(":memory:"))
        self.log.start(CONFIGURATION, self.clock.now())
        self.requests = Requests(self.log, [KEY.verifier], self.clock)
        self.configured: list[str] = []
        self.edge = self.log.edge_id

    def take(self, serial: int, kind: str = "configuration", body: str = "good", **change: object) -> None:
        asked = Request(self.edge, serial, kind, NOW_S - 10, NOW_S + 10, body)._replace(**change)  # type: ignore[arg-type]
        self.requests.take(sign_request(asked, KEY), self._configure, lambda question: json.dumps({"of": question}))

    def _configure(self, text: str) -> None:
        if text == "bad":
            raise Refused("meter m9 is on bus 'x'")
        self.configured.append(text)

    def events(self) -> list[Event]:
        every = [event for leaf in leaves(self.log.spool, NOW_S) for event in leaf.events]
        return [event for event in every if "serial" in event.data]


def test_a_configuration_is_taken_once_and_answered_once() -> None:
    asked = Asked()
    for serial in (5, 5, 5):
        asked.take(serial)
    (event,) = asked.events()
    assert (event.kind, event.data["serial"], asked.configured) == ("configuration-taken", "5", ["good"])
    assert len(event.data["sha256"]) == 64


def test_neither_a_restart_nor_many_later_ones_let_an_old_one_in() -> None:
    asked = Asked()
    for serial in range(10, 10 + MAX_SETTLED + 5):
        asked.take(serial, body=f"{serial}")
    asked.requests = Requests(asked.log, [KEY.verifier], asked.clock)
    taken = len(asked.configured)
    told = len(asked.events())
    for serial in (10, 3, 40):
        asked.take(serial)
    assert (len(asked.configured), len(asked.events())) == (taken, told)


@pytest.mark.parametrize(
    ("serial", "change", "part"),
    [
        (4, {}, "below 5"),
        (6, {"edge": "other-e1"}, "is for edge other-e1"),
        (6, {"made_s": NOW_S - 100, "expires_s": NOW_S - 1}, "expired at"),
        (6, {"body": "bad"}, "on bus 'x'"),
    ],
)
def test_what_is_refused_is_told_once_with_its_reason(serial: int, change: dict[str, object], part: str) -> None:
    asked = Asked()
    asked.take(5, "diagnostics", "status")
    for _ in range(3):
        asked.take(serial, **change)  # type: ignore[arg-type]
    (event,) = asked.events()[1:]
    assert event.kind == "configuration-refused"
    assert part in event.data["reason"]
    assert asked.configured == []


def test_what_nobody_signed_leaves_no_trace_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked()
    size = len(leaves(asked.log.spool, NOW_S))
    stranger = SigningKey(KEY.name, Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
    wrong = sign_request(Request(asked.edge, 1, "diagnostics", NOW_S, NOW_S + 1, "bus"), stranger)
    for note in (wrong, b"", b"\xff" * 70_000, wrong[:-5]):
        asked.requests.take(note, asked._configure, str)
    assert len(leaves(asked.log.spool, NOW_S)) == size
    assert asked.requests.dropped == 4
    assert len(caplog.records) == 1


def test_with_an_unknown_time_questions_are_answered_and_configurations_wait() -> None:
    asked = Asked()
    asked.clock.sync = UNSYNCHRONISED
    asked.take(1, "diagnostics", "link")
    asked.take(2)
    assert [event.kind for event in asked.events()] == ["diagnostics"]
    assert asked.events()[0].data["text.0"] == '{"of": "link"}'
    asked.clock.sync = "test"
    asked.take(2)
    assert asked.configured == ["good"]


def test_a_flood_waits_in_bounds_and_one_note_is_dealt_with_at_a_time() -> None:
    asked = Asked()

    async def flooded() -> None:
        for serial in range(1, 100):
            note = Request(asked.edge, serial, "configuration", NOW_S, NOW_S + 1, "x")
            asked.requests.hear(sign_request(note, KEY))
        work = asyncio.create_task(asked.requests.run(asked._configure, str))
        await asyncio.sleep(0.05)
        work.cancel()

    asyncio.run(flooded())
    assert len(asked.configured) == 1
    assert len(asked.requests._waiting) == MAX_WAITING - 1


def configured(tmp_path: Path) -> Path:
    config = settings_in(tmp_path, TWO_BUSES)
    config.write_text(config.read_text().replace("[broker]", "remote_configuration = true\n[broker]"))
    return config


def test_meters_and_rates_from_afar_are_kept_beside_the_settings_with_those_before(tmp_path: Path) -> None:
    config = configured(tmp_path)
    old = load_settings(config, {})
    first = f"[edge]\ninterval_s = 60\n{BASE}"
    assert taken_from_afar(config, old, first, {}).settings.edge.interval_s == 60
    second = BASE + '[[meter]]\nid = "new"\nbus = "house"\nunit = 7\nprofile = "schneider-iem3155"\n'
    for _ in range(2):
        found = taken_from_afar(config, load_settings(config, {}), second, {})
    assert [(meter.unit, bool(meter.suspended)) for meter in found.base.meters] == [(1, False), (1, False), (7, True)]
    assert (tmp_path / "edge.remote.toml").read_text() == second
    assert (tmp_path / "edge.remote.toml.before").read_text() == first
    again = load_settings(config, {})
    assert (again.edge.interval_s, again.meters) == (900, found.settings.meters)
    off = config.read_text().replace("remote_configuration = true", "remote_configuration = false")
    config.write_text(off)
    assert load_settings(config, {}).meters == old.meters, "without the setting the file says nothing"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (BASE.replace('"pv"', '"line9"'), "which is no"),
        (BASE + '[broker]\nhost = "x"\n', "broker is not a known key"),
        (BASE + '[[bus]]\nid = "n"\nhost = "x"\n', "bus is not a known key"),
        ('[edge]\nkey_file = "x"\n' + BASE, "key_file"),
        ('[edge]\nspool = "x"\n' + BASE, "spool"),
        ("[edge]\ninterval_s = 7\n" + BASE, "must be 1 or more and divide a day"),
        (BASE.replace("sunspec-inverter-103", "/etc/x.toml"), "only bundled profiles"),
        (BASE.replace("sunspec-inverter-103", "no-such"), "not bundled"),
        ("", "empty"),
        ("x = [", "not valid TOML"),
        ("[edge]\ninterval_s = 60\n", "meter"),
    ],
)
def test_what_edge_check_would_refuse_changes_nothing(tmp_path: Path, text: str, part: str) -> None:
    config = configured(tmp_path)
    before = load_settings(config, {})
    with pytest.raises(HakariError, match=part):
        taken_from_afar(config, before, text, {})
    assert sorted(path.name for path in tmp_path.glob("edge.remote*")) == []
    assert load_settings(config, {}) == before


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (BASE.replace('unit = 1\nprofile = "sch', 'unit = 7\nprofile = "sch'), "meter export: its unit may not"),
        (BASE.replace('"4711"', '"4712"'), "meter export: its serial may not"),
        (BASE.replace('bus = "house"', 'bus = "pv"').replace('unit = 1\nprofile = "sch', 'unit = 3\nprofile = "sch'),
         "meter export: its bus may not"),
        (BASE.replace('"schneider-iem3155"', '"abb-b23"'), "meter export: its profile may not"),
        (BASE + 'identity_proof = "seal 1"\n', "meter export: its identity_proof may not"),
        (BASE[BASE.rindex("[[meter]]") :], "meter inverter is left out"),
        (BASE.replace('id = "export"', 'id = "else"'), "meter export is left out"),
        ("[edge]\ninterval_s = 86400\n" + BASE, "interval_s = 86400 is not from 15 to 3600"),
        ("[edge]\ninterval_s = 10\n" + BASE, "interval_s = 10 is not from 15 to 3600"),
        ("[edge]\nmax_lag_s = 86400\n" + BASE, "max_lag_s = 86400 is more than 60"),
        (BASE + "every = { energy_import = 5 }\n", "energy_import would be read every 4500 s"),
        ("[edge]\ninterval_s = 3600\n" + BASE + "every = { energy_import = 2 }\n", "would be read every 7200 s"),
    ],
)  # fmt: skip
def test_what_would_make_readings_of_something_else_is_refused_from_afar(tmp_path: Path, text: str, part: str) -> None:
    config = configured(tmp_path)
    before = load_settings(config, {})
    assert text != BASE
    with pytest.raises(BeyondAfar, match=part):
        taken_from_afar(config, before, text, {})
    assert load_settings(config, {}) == before


def test_small_steps_lead_no_further_than_one_and_a_meter_that_was_added_stays(tmp_path: Path) -> None:
    config = configured(tmp_path)
    added = '[[meter]]\nid = "new"\nbus = "house"\nunit = 7\nprofile = "schneider-iem3155"\n'
    for text in ("[edge]\ninterval_s = 3600\nmax_lag_s = 10\n" + BASE, BASE + added):
        taken_from_afar(config, load_settings(config, {}), text, {})
    for text, part in (
        ("[edge]\ninterval_s = 7200\n" + BASE + added, "7200"),
        ("[edge]\nmax_lag_s = 61\n" + BASE + added, "more than 60"),
        (BASE + added + "every = { energy_import = 5 }\n", "4500"),
        (BASE, "meter new is left out"),
        (BASE + added.replace("7", "8"), "its unit may not"),
    ):
        with pytest.raises(BeyondAfar, match=part):
            taken_from_afar(config, load_settings(config, {}), text, {})


def test_a_meter_from_afar_counts_only_once_it_was_commissioned_whatever_its_profile(tmp_path: Path) -> None:
    config = configured(tmp_path)
    added = '[[meter]]\nid = "new"\nbus = "house"\nunit = 7\nprofile = "schneider-iem3155"\nserial = "4712"\n'
    taken_from_afar(config, load_settings(config, {}), BASE + added, {})
    notes: dict[str, str] = {}

    def suspended() -> list[str]:
        base = metering_configuration(load_settings(config, {}), tmp_path)
        return [one.suspended for one in with_notes(base, lambda key: notes.get(key, "")).meters]

    notes[identity_key("new")] = text_of_note(Known({"serial": "4712"}))
    assert suspended() == ["", "", FROM_AFAR]
    new = metering_configuration(load_settings(config, {}), tmp_path).meters[2]
    done = Commissioned(
        profile_sha256(new.profile), "house", 7, "4712", {"serial": "4712"}, ["energy_import"], "K. Sato", 1, new.place
    )
    notes[commissioned_key("new")] = text_of_note(done)
    assert suspended() == ["", "", ""]
    notes[commissioned_key("new")] = text_of_note(msgspec.structs.replace(done, unit=8))
    assert suspended() == ["", "", FROM_AFAR]


def test_a_long_answer_stays_json_and_says_how_many_it_leaves_out() -> None:
    many = {"edge": "sola-e1", "meters": [{"meter": f"m{k}", "error": "x" * 50} for k in range(500)], "epochs": [1, 2]}
    text = shortened(many, 12_000)
    told = json.loads(text)
    assert 9_000 < len(text) <= 12_000
    assert len(told["meters"]) + told["left_out"]["meters"] == 500
    assert told["epochs"] == [1, 2]
    assert json.loads(shortened({"edge": "e", "stopped": "x" * 20_000}, 500)) == {
        "edge": "e",
        "left_out": {"stopped": 1},
    }
    assert "left_out" not in shortened({"edge": "e", "meters": []}, 500)


def test_an_answer_that_fits_no_event_is_refused_and_not_cut() -> None:
    asked = Asked()
    request = Request(asked.edge, 1, "diagnostics", NOW_S - 10, NOW_S + 10, "status")
    asked.requests.take(sign_request(request, KEY), asked._configure, lambda _: "x" * 12_001)
    (event,) = asked.events()
    assert event.kind == "diagnostics-refused"
    assert "limit 12000" in event.data["reason"]


def test_an_edge_that_takes_nothing_from_afar_says_so(tmp_path: Path) -> None:
    config = settings_in(tmp_path, TWO_BUSES)
    with pytest.raises(HakariError, match="remote_configuration is false"):
        taken_from_afar(config, load_settings(config, {}), BASE, {})
    assert not (tmp_path / "edge.remote.toml").exists()


def test_questions_are_answered_from_the_spool_alone(tmp_path: Path) -> None:
    config = settings_in(tmp_path, TWO_BUSES)
    told = load_settings(config, {})
    spool = Spool(str(tmp_path / "edge.spool"))
    EdgeLog(spool, Ed25519PrivateKey.generate(), "plant.example", "sola-e1", "00" * 8, "test").start(
        configuration_in_force(metering_configuration(told, tmp_path), spool.note).text, Hands().now()
    )
    spool.close()
    assert [one["meter"] for one in json.loads(answer(config, "bus"))["meters"]] == ["inverter", "export"]
    assert json.loads(answer(config, "link"))["epochs"][0]["epoch"] == NOW_S
    assert json.loads(answer(config, "status"))["edge"] == "sola-e1"
