"""Letting an edge in by a one-time code: the whole way, and every wrong file, code and edge in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.tools.cli_enrol import enrol
from hakari import enrolment
from hakari.cli.keys import keys
from hakari.errors import HakariError
from hakari.log import rosterfile
from hakari.log.publicfile import text_of, verifier_of
from hakari.log.roster import Roster

ADMIT = "admit {} --authority ca --roster roster.note --owner owner.pem --broker broker.example:8883 --reply {}"


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in (
        "owner --out owner.pem --name plant.example/owner",
        "roster new roster.note --owner owner.pem --namespace plant.example",
        "authority new ca --name plant.example",
    ):
        good(line)
    for folder in ("device", "other"):
        Path(folder).mkdir()


def run(line: str) -> Result:
    return CliRunner().invoke(keys, line.split())


def good(line: str) -> str:
    result = run(line)
    assert result.exit_code == 0, result.output
    return result.stdout


def bad(line: str, code: int) -> str:
    result = run(line)
    assert result.exit_code == code, result.output
    assert result.stderr.count("\n") == 1 or code == 2
    return result.stderr


def on_edge(*argv: str) -> str:
    """What the edge's command says; the sentence of the error it ends with."""
    try:
        done = CliRunner().invoke(enrol, argv, standalone_mode=False, catch_exceptions=False)
    except HakariError as error:
        return f"{type(error).__name__}: {error}"
    return done.stdout


def invited(edge: str = "sola-e1") -> str:
    return str(json.loads(good(f"invite --authority ca --edge {edge} --json"))["code"])


def asked(code: str, edge: str = "sola-e1", folder: str = "device", file: str = "asked") -> str:
    return on_edge("--edge", edge, "--code", code, "--folder", folder, "--request", file)


def stored() -> Roster:
    return rosterfile.read("roster.note", verifier_of("owner.pem.pub"))


def test_the_whole_way() -> None:
    code = invited()
    assert len(code.replace("-", "")) * 5 - 8 * enrolment.CHECK_BYTES >= 120
    assert "public key" in asked(f"  {code.lower()} ".replace("-", " "))
    said = good(ADMIT.format("asked", "reply"))
    assert "is in roster 2" in said
    assert "edge.toml was written" in on_edge("--reply", "reply", "--folder", "device")
    assert stored().edges[0].key == text_of("device/sola-e1.pem.pub")
    settings = Path("device/edge.toml").read_text()
    for part in (
        'site = "sola"',
        'name = "e1"',
        'host = "broker.example"',
        f'owner_key = "{text_of("owner.pem.pub")}"',
    ):
        assert part in settings
    for private in ("device/sola-e1.pem", "device/sola-e1.tls.key", "ca/ca.key", "ca/issued.jsonl", "reply"):
        assert Path(private).stat().st_mode & 0o077 == 0, private
    assert not Path("device/enrolment.pending").exists()
    everything = b"".join(path.read_bytes() for path in Path().rglob("*") if path.is_file())
    assert code.encode() not in everything
    assert code.replace("-", "").encode() not in everything
    tls = Path("device/sola-e1.tls.key").read_bytes().split(b"\n")[1]
    assert everything.count(tls) == 1, "the TLS key is nowhere but on the device"


def test_a_replayed_request_is_refused() -> None:
    asked(invited())
    good(ADMIT.format("asked", "reply"))
    before = Path("roster.note").read_bytes()
    assert "used already, with this very request" in bad(ADMIT.format("asked", "again"), 6)
    assert not Path("again").exists()
    assert Path("roster.note").read_bytes() == before
    assert "not overwritten" in bad(ADMIT.format("asked", "reply"), 6)
    assert "EnrolmentRefused" not in on_edge("--reply", "reply", "--folder", "device")
    assert "no request of this device waits" in on_edge("--reply", "reply", "--folder", "device")


def test_bad_input_34_ids_that_a_broker_reads_otherwise_are_refused_at_enrolment() -> None:
    for edge in ("sola/e1", "sola-+", "#", "$SYS-e1", "Sola-e1", "solae1", "ingest-3f", "ingest-all", "sola-e1-"):
        bad(f"invite --authority ca --edge {edge}", 6)
        assert on_edge("--edge", edge, "--code", enrolment.new_code(), "--folder", "device").startswith("NotEnrollable")
    assert list(Path("ca/invitations").iterdir()) == []
    keys_of = enrolment.secrets_of(invited(), "sola-e1")
    forged = enrolment.Request(edge="ingest-3f", log_key="", certificate_request="", software="")
    Path("forged").write_bytes(enrolment.sealed(forged, keys_of.request))
    assert "ingest-3f" in bad(ADMIT.format("forged", "reply"), 6)


def test_each_wrong_code_or_file_is_one_sentence() -> None:
    code = invited()
    typed = ("A" if code[0] != "A" else "B") + code[1:]
    assert "typing error" in asked(typed)
    assert "another length" in asked(code[:-5])
    asked(enrolment.new_code())
    said = bad(ADMIT.format("asked", "reply"), 5)
    assert "made with another code" in said
    assert "may be another edge's, or an earlier one of sola-e1" in said
    asked(code, "boil-e1", "other", "stranger")
    assert "edge boil-e1 was not invited" in bad(ADMIT.format("stranger", "reply"), 6)
    assert "cannot be read" in bad(ADMIT.format("nothing", "reply"), 5)
    Path("noise").write_bytes(b"\xff" * 100)
    assert "is no hakari enrolment request" in bad(ADMIT.format("noise", "reply"), 5)
    good("authority new second --name other.example")
    assert "was not invited" in bad(ADMIT.format("asked", "reply").replace("ca ", "second "), 6)
    assert "is no authority's folder" in bad(ADMIT.format("asked", "reply").replace("ca ", "device "), 3)
    assert not Path("reply").exists()
    assert stored().serial == 1


def test_an_altered_request_or_reply_is_refused() -> None:
    asked(invited())
    request = Path("asked").read_bytes()
    Path("altered").write_bytes(request.replace(b'"software":"hakari', b'"software":"Hakari'))
    assert "was altered" in bad(ADMIT.format("altered", "reply"), 5)
    good(ADMIT.format("asked", "reply"))
    reply = Path("reply").read_bytes()
    Path("reply").write_bytes(reply.replace(b"broker.example", b"broker.evil.io"))
    assert "was altered" in on_edge("--reply", "reply", "--folder", "device")
    assert not Path("device/edge.toml").exists()
    Path("reply").write_bytes(reply)
    assert "let in" in on_edge("--reply", "reply", "--folder", "device")


def test_a_code_ends() -> None:
    asked(invited())
    path = Path("ca/invitations/sola-e1.json")
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "expires": "2026-01-01T00:00:00Z"}))
    assert "ended at 2026-01-01" in bad(ADMIT.format("asked", "reply"), 6)


def test_a_second_code_ends_the_first() -> None:
    asked(invited())
    invited()
    assert "made with another code" in bad(ADMIT.format("asked", "reply"), 5)


def test_a_replacing_device_signs_from_where_the_first_ended() -> None:
    asked(invited())
    good(ADMIT.format("asked", "reply"))
    asked(invited(), folder="other", file="asked2")
    assert "has a key in the roster already" in bad(ADMIT.format("asked2", "reply2"), 6)
    good("roster revoke roster.note --owner owner.pem --edge sola-e1 --epoch 1700 --from-leaf 40")
    good(ADMIT.format("asked2", "reply2"))
    roster = stored()
    first, second = (text_of(f"{folder}/sola-e1.pem.pub") for folder in ("device", "other"))
    known = {key.key: (key.start, key.end) for key in roster.edges}
    assert known[first][1] == known[second][0] == (1700, 41)
    assert roster.edge_key("sola-e1", 1700, 40) != roster.edge_key("sola-e1", 1700, 41)


def test_rotate_is_one_signature() -> None:
    asked(invited())
    good(ADMIT.format("asked", "reply"))
    good("edge --out new.pem")
    good("roster rotate roster.note --owner owner.pem --edge sola-e1 --epoch 1700 --from-leaf 7 --key new.pem.pub")
    roster = stored()
    assert roster.serial == 3
    assert [(key.start, key.end[0]) for key in roster.edges] == [((0, 0), 1700), ((1700, 8), 2**40 + 1)]


def test_certificates_are_listed_renewed_and_revoked() -> None:
    good("authority client ca --name ingest-3f --out worker.pem")
    assert Path("worker.pem.key").stat().st_mode & 0o777 == 0o600
    assert "not overwritten" in bad("authority client ca --name ingest-3f --out worker.pem", 6)
    good("authority renew ca --name ingest-3f --out renewed.pem --days 10")
    found = json.loads(good("authority list ca --json"))
    assert [(one["name"], one["state"], one["days_left"]) for one in found] == [
        ("ingest-3f", "valid", 89), ("ingest-3f", "valid", 9),
    ]  # fmt: skip
    assert len(json.loads(good("authority revoke ca --name ingest-3f --json"))["revoked"]) == 2
    assert {one["state"] for one in json.loads(good("authority list ca --json"))} == {"revoked"}
    assert "was revoked" in bad("authority renew ca --name ingest-3f --out third.pem", 6)
    assert "was ever issued" in bad("authority revoke ca --name nobody", 6)
    assert "not empty" in bad("authority new ca --name x", 6)
    assert [json.loads(line)["what"] for line in Path("ca/issued.jsonl").read_text().splitlines()] == [
        "authority", "client", "client", "revoked", "revoked",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sender", ["a=#", "a=+/b", "a=hakari/v1/batch/00/x-1", "a=b#", "a=$SYS/x", "ingest-all=x", "a=x\ny"]
)
def test_a_sender_can_take_nothing_of_ours(sender: str) -> None:
    result = CliRunner().invoke(
        keys, ["authority", "broker", "ca", "--host", "b", "--out", "broker", "--sender", sender]
    )
    assert result.exit_code == 3, result.output
    assert not Path("broker").exists()


def test_the_shipped_broker_files_are_what_the_command_writes(root: Path) -> None:
    good("authority broker ca --host broker.example --out broker")
    shipped = root / "deploy" / "mosquitto"
    assert Path("broker/mosquitto.conf").read_text() == (shipped / "mosquitto-tls.conf").read_text()
    assert Path("broker/acl").read_text() == (shipped / "acl").read_text()
    assert Path("broker/acl").read_text().count("user ingest-") == 257
    assert Path("broker/server.key").stat().st_mode & 0o777 == 0o600


def test_a_certificate_is_of_one_kind_and_never_an_edges() -> None:
    assert "none of ours" in bad("authority client ca --name ingest-zz --out a.pem", 6)
    assert "hakari keys invite" in bad("authority client ca --name sola-e7 --out a.pem", 6)
    assert "a name of ours" in bad("authority client ca --name ingest-zz --sender --out a.pem", 3)
    invited("sola-e1")
    assert "sola-e1 is an edge" in bad("authority client ca --name sola-e1 --sender --out a.pem", 6)
    assert not Path("a.pem").exists()
    assert not Path("a.pem.key").exists()
    good("authority client ca --name logger-1 --sender --out logger.pem")
    good("authority client ca --name ingest-all --out all.pem")


def test_the_brokers_folder_says_whom_to_give_it_to() -> None:
    assert "chown -R mosquitto: broker" in good("authority broker ca --host broker.example --out broker")


def test_a_reply_beside_a_damaged_roster_writes_nothing() -> None:
    asked(invited())
    good(ADMIT.format("asked", "reply"))
    Path("device/roster.note").write_bytes(b"damaged")
    before = {path.name: path.read_bytes() for path in Path("device").iterdir()}
    assert "move it away and say this again" in on_edge("--reply", "reply", "--folder", "device")
    assert {path.name: path.read_bytes() for path in Path("device").iterdir()} == before
    Path("device/roster.note").unlink()
    assert "edge.toml was written" in on_edge("--reply", "reply", "--folder", "device")
