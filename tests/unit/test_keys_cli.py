"""`hakari keys` as a plant's owner uses it: a full roster by commands, and each refusal in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from hakari.cli.keys import keys
from hakari.log import rosterfile
from hakari.log.keyfile import load, public_bytes
from hakari.log.note import COSIGNATURE, ED25519, VerifierKey
from hakari.log.publicfile import text_of, verifier_of
from hakari.log.roster import Roster


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(line: str) -> Result:
    return CliRunner().invoke(keys, line.split())


def good(line: str) -> str:
    result = run(line)
    assert result.exit_code == 0, result.output
    return result.stdout


def bad(line: str, code: int) -> str:
    result = run(line)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def make_keys() -> None:
    good("owner --out owner.pem --name plant.example/owner")
    good("edge --out sola-e1.pem")
    good("edge --out boil-e1.pem")
    good("cosigner --out ingest.pem --name plant.example/ingest")
    good("statement --out calc.pem --name plant.example/calc")


NEW = (
    "roster new roster.note --owner owner.pem --namespace plant.example"
    " --edge sola-e1=sola-e1.pem.pub --epoch sola-e1=1467331200 --cosigner ingest.pem.pub --statement-key calc.pem.pub"
)


def stored() -> Roster:
    return rosterfile.read("roster.note", verifier_of("owner.pem.pub"))


@pytest.mark.parametrize(("kind", "algorithm"), [("owner", ED25519), ("statement", ED25519), ("cosigner", COSIGNATURE)])
def test_named_keys(kind: str, algorithm: int) -> None:
    printed = good(f"{kind} --out key.pem --name plant.example/{kind}")
    key = VerifierKey.parse(printed.removesuffix("\n"))
    assert (key.name, key.algorithm) == (f"plant.example/{kind}", algorithm)
    assert key.public == public_bytes(load("key.pem"))
    assert Path("key.pem").stat().st_mode & 0o777 == 0o600
    assert Path("key.pem.pub").read_text() == printed
    said = json.loads(good(f"{kind} --out second.pem --name x --json"))
    assert said == {
        "key": text_of("second.pem.pub"), "name": "x", "private_file": "second.pem", "public_file": "second.pem.pub",
    }  # fmt: skip


def test_edge_key() -> None:
    assert good("edge --out edge.pem") == Path("edge.pem.pub").read_text()
    assert json.loads(good("edge --out edge2.pem --json"))["key"] == text_of("edge2.pem.pub")


def test_existing_files_are_refused() -> None:
    good("edge --out edge.pem")
    before = Path("edge.pem").read_bytes(), Path("edge.pem.pub").read_bytes()
    said = bad("edge --out edge.pem", 6)
    assert said.startswith("error: file edge.pem.pub exists and is not overwritten")
    assert said.count("\n") == 1
    Path("edge.pem.pub").rename("away")
    assert "file edge.pem exists" in bad("owner --out edge.pem --name x", 6)
    assert Path("edge.pem").read_bytes() == before[0]
    assert Path("away").read_bytes() == before[1]
    assert not Path("edge.pem.pub").exists()


def test_full_roster_in_one_command() -> None:
    make_keys()
    assert good(NEW).startswith("roster.note: plant.example, serial 1, edge keys 1, approved epochs 1, cosigners 1")
    roster = stored()
    assert roster.edge_key("sola-e1", 1467331200, 1) == public_bytes(load("sola-e1.pem"))
    assert roster.approved("sola-e1", 1467331200)
    assert [str(key) for key in roster.cosigner_keys()] == [text_of("ingest.pem.pub")]
    assert [str(key) for key in roster.statement_verifiers()] == [text_of("calc.pem.pub")]
    assert "not overwritten" in bad(NEW, 6)


def test_full_roster_step_by_step() -> None:
    make_keys()
    at = "roster.note --owner owner.pem"
    good(f"roster new {at} --namespace plant.example")
    good(f"roster add-edge {at} --edge sola-e1 --key {text_of('sola-e1.pem.pub')}")
    good(f"roster add-edge {at} --edge boil-e1 --key boil-e1.pem.pub --from-epoch 7 --from-size 3")
    good(f"roster approve-epoch {at} --edge sola-e1 --epoch 1467331200")
    good(f"roster add-cosigner {at} --key {text_of('ingest.pem.pub')}")
    said = json.loads(good(f"roster add-statement-key {at} --key calc.pem.pub --json"))
    roster = stored()
    assert said == roster.content()
    assert roster.serial == 6
    assert roster.edge_key("boil-e1", 7, 2) is None
    assert roster.edge_key("boil-e1", 7, 3) == public_bytes(load("boil-e1.pem"))
    assert roster.approved("sola-e1", 1467331200)


def test_a_lost_key_is_ended_and_followed() -> None:
    make_keys()
    good(NEW)
    at = "roster.note --owner owner.pem --edge sola-e1"
    good("edge --out new.pem")
    assert "two keys of edge" in bad(f"roster add-edge {at} --key new.pem.pub", 6)
    good(f"roster end-edge-key {at} --epoch 1467331200 --size 40")
    good(f"roster add-edge {at} --key new.pem.pub --from-epoch 1467331200 --from-size 41")
    roster = stored()
    assert roster.edge_key("sola-e1", 1467331200, 40) == public_bytes(load("sola-e1.pem"))
    assert roster.edge_key("sola-e1", 1467331200, 41) == public_bytes(load("new.pem"))
    assert roster.serial == 3


def test_show() -> None:
    make_keys()
    good(NEW)
    shown = good("roster show roster.note --owner-key owner.pem.pub")
    for word in ("serial 1", "sola-e1", "1467331200", "plant.example/ingest", text_of("calc.pem.pub")):
        assert word in shown
    assert json.loads(good("roster show roster.note --owner-key owner.pem.pub --json")) == stored().content()
    good("owner --out other.pem --name plant.example/owner")
    assert "not signed by" in bad("roster show roster.note --owner-key other.pem.pub", 5)
    Path("roster.note").write_bytes(Path("roster.note").read_bytes().replace(b"1467331200", b"1467331201"))
    assert "does not fit" in bad("roster show roster.note --owner-key owner.pem.pub", 5)


@pytest.mark.parametrize(
    ("line", "code", "word"),
    [
        ("roster approve-epoch roster.note --owner owner.pem --edge sola-e1 --epoch 1467331200", 6, "approved already"),
        ("roster approve-epoch roster.note --owner owner.pem --edge sola-e9 --epoch 1", 6, "no key in the roster"),
        ("roster approve-epoch roster.note --owner owner.pem --edge sola-e1 --epoch -5", 6, "not from 0"),
        ("roster approve-epoch roster.note --owner owner.pem --edge sola-e1 --epoch soon", 2, "integer"),
        ("roster approve-epoch roster.note --owner owner.pem --edge SOLA --epoch 1", 2, "edge id"),
        ("roster approve-epoch missing.note --owner owner.pem --edge sola-e1 --epoch 1", 3, "missing.note"),
        ("roster approve-epoch roster.note --owner missing.pem --edge sola-e1 --epoch 1", 3, "missing.pem"),
        ("roster approve-epoch roster.note --owner calc.pem --edge sola-e1 --epoch 1", 5, "not signed by"),
        ("roster add-edge roster.note --owner owner.pem --edge boil-e1 --key boil-e1.pem", 3, "give boil-e1.pem.pub"),
        ("roster add-edge roster.note --owner owner.pem --edge boil-e1 --key sola-e1.pem.pub", 6, "same key"),
        ("roster add-edge roster.note --owner owner.pem --edge boil-e1 --key nothing.pub", 3, "base64"),
        ("roster add-edge roster.note --owner owner.pem --edge boil-e1 --key calc.pem.pub", 3, "base64"),
        ("roster add-cosigner roster.note --owner owner.pem --key calc.pem.pub", 6, "needs its own name and type 0x04"),
        ("roster add-statement-key roster.note --owner owner.pem --key owner.pem.pub", 6, "owner's own key"),
        ("roster end-edge-key roster.note --owner owner.pem --edge boil-e1 --epoch 1 --size 1", 6, "no key without"),
        ("roster new other.note --owner owner.pem --namespace Plant", 3, "lower-case domain"),
        ("roster new other.note --owner owner.pem --namespace plant.example --edge sola-e1", 2, "EDGE=VALUE"),
        ("roster new other.note --owner owner.pem --namespace plant.example --epoch sola-e1=1e9", 2, "UTC seconds"),
        ("roster new no/other.note --owner owner.pem --namespace plant.example", 3, "cannot be written"),
        (NEW.replace("roster.note", "other.note") + " --epoch sola-e1=1467331200", 6, "is not written"),
        ("roster show roster.note --owner-key nonsense", 3, "verifier key"),
        ("owner --out x.pem --name a+b", 3, "plus sign"),
        ("owner --out x.pem", 2, "--name"),
        ("cosigner --out no/x.pem --name x", 3, "cannot be written"),
    ],
)
def test_refusals(line: str, code: int, word: str) -> None:
    make_keys()
    good(NEW)
    before = Path("roster.note").read_bytes()
    assert word in bad(line, code)
    assert Path("roster.note").read_bytes() == before
    assert not Path("other.note").exists()
    assert not Path("x.pem").exists()


def test_owner_name_comes_from_its_public_file_or_the_command() -> None:
    make_keys()
    good(NEW)
    line = "roster approve-epoch roster.note --owner owner.pem --edge sola-e1 --epoch"
    Path("owner.pem.pub").rename("kept")
    assert "give --owner-name" in bad(f"{line} 1", 3)
    good(f"{line} 1 --owner-name plant.example/owner")
    assert "not signed by" in bad(f"{line} 2 --owner-name other", 5)
    assert "plus sign" in bad(f"{line} 2 --owner-name a+b", 3)
    Path("owner.pem.pub").write_text(f"{text_of('calc.pem.pub')}\n")
    assert "is not the public key of owner.pem" in bad(f"{line} 2", 3)


def test_error_as_json() -> None:
    good("edge --out edge.pem")
    said = json.loads(bad("edge --out edge.pem --json", 6))
    assert said["exit_code"] == 6
    assert "exists" in said["error"]


def test_a_world_readable_owner_key_is_refused() -> None:
    make_keys()
    Path("owner.pem").chmod(0o644)
    assert "chmod 600" in bad(NEW, 6)


def test_every_command_and_option_has_help() -> None:
    def walk(command: click.Command, path: str) -> None:
        assert command.help, path
        for option in command.params:
            assert isinstance(option, click.Argument) or (isinstance(option, click.Option) and option.help), path
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                walk(inner, f"{path} {name}")

    walk(keys, "keys")
    assert run("roster new --help").stdout.count("--edge sola-e1=sola-e1.pem.pub") == 1


def test_works_without_entry_points(tmp_path: Path) -> None:
    code = "from hakari.cli.keys import keys; keys()"
    for expected in (0, 6):
        root = str(Path(rosterfile.__file__).parents[2])
        done = subprocess.run(
            [sys.executable, "-c", code, "edge", "--out", str(tmp_path / "edge.pem")],
            capture_output=True, text=True, check=False, env={"PYTHONPATH": root},
        )  # fmt: skip
        assert done.returncode == expected
    assert done.stderr.startswith("error: file ")
    assert "Traceback" not in done.stderr
