"""Bad input from the user's hand: one clear sentence, the exit code that says whose fault it is, no traceback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hakari.cli.root import main
from simulate import demo
from simulate.layout import Layout, argv, call
from simulate.processes import Processes
from tests.system.chain import PLANTS, Chain, solar
from tests.system.forge import on_the_clock

pytestmark = pytest.mark.system

START, END = "2016-07-01T00:00:00-07:00", "2016-07-02T00:00:00-07:00"
BUS = 'id = "bus1"\n'
PROFILE = '"schneider-iem3155"'
OVERLAP = """
id = "overlap"
maker = "m"
model = "m"
source = "s"
standing = "excerpt"

[[points]]
name = "energy"
address = 0
type = "u32"
kind = "counter"
unit = "Wh"
word_order = "high_first"

[[points]]
name = "power"
address = 1
type = "u16"
kind = "gauge"
unit = "W"
"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Good files of two plants, on the machine's clock; nothing runs."""
    folder = tmp_path_factory.mktemp("good")
    plants = [solar(), ("boiler", (PLANTS / "boiler.toml").read_text())]
    layout = on_the_clock(Chain(folder, plants, START, END, step_s=1)).layout
    (folder / "overlap.toml").write_text(OVERLAP)
    (folder / "unknown.toml").write_text(OVERLAP.replace('kind = "gauge"', 'kindd = "gauge"'))
    shutil.copy(folder / "solar-e1.pem", folder / "open.pem")
    (folder / "open.pem").chmod(0o644)
    call("keys", "owner", "--out", folder / "stranger.pem", "--name", "demo.hakari.example/stranger")
    call(
        "keys", "roster", "new", folder / "strange.note", "--owner", folder / "stranger.pem",
        "--namespace", "demo.hakari.example", "--edge", f"solar-e1={folder / 'solar-e1.pem.pub'}",
    )  # fmt: skip
    return layout


def refusal(capsys: pytest.CaptureFixture[str], code: int, *words: str | Path) -> str:
    """What the command says; fails unless it ends with `code` and one sentence."""
    capsys.readouterr()
    ended = main([str(word) for word in words])
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (ended, len(said), "Traceback" in err) == (code, 1, False), out + err
    return said[0]


def edited(path: Path, old: str, new: str) -> Path:
    """A copy of a settings file beside it with the first `old` as `new`."""
    text = path.read_text()
    assert old in text
    copy = path.with_name("edited.toml")
    copy.write_text(text.replace(old, new, 1))
    return copy


SPOOL = 'spool = "solar-e1.spool"'
KEY = 'key_file = "solar-e1.pem"'
ROSTER = 'roster_file = "roster.note"'
PASSWORD = 'password_file = "solar-e1.password"'
EDGE_REFUSALS = [
    ("interval_s = 1", "intervall_s = 1", 3, "[edge].intervall_s is not a known key; did you mean interval_s?"),
    ("interval_s = 1", "interval_s = 1\ninterval_s = 2", 3, "given twice on line"),
    ("interval_s = 1", "interval_s = 7", 3, "interval_s = 7 must be"),
    ("[broker]", "[broker]\n[broker]", 3, "a key or table is given twice"),
    ('host = "127.0.0.1"', 'host = ""', 3, "[broker].host = '' is neither"),
    ('host = "127.0.0.1"', 'host = "plant..example"', 3, "[broker].host = 'plant..example' is neither"),
    (BUS + 'host = "127.0.0.1"', BUS + 'host = "a b"', 3, "bus bus1: host = 'a b' is neither"),
    (PASSWORD, 'password = "hunter2"', 3, "[broker].password is not a known key; did you mean password_file?"),
    (PASSWORD, 'password_file = "none"', 3, "[broker].password_file = 'none' is not a file"),
    (
        KEY,
        'key_file = """-----BEGIN PRIVATE KEY-----\nhunter2"""',
        3,
        "[edge].key_file holds a secret instead of a path",
    ),
    (KEY, 'key_file = "none.pem"', 3, "[edge].key_file = 'none.pem' is not a file"),
    (KEY, 'key_file = "open.pem"', 6, "has mode 0644; run: chmod 600"),
    (KEY, 'key_file = "roster.note.pem"', 3, "[edge].key_file"),
    (KEY, 'key_file = "boiler-e1.pem"', 3, "is not the key that the roster has for solar-e1"),
    (ROSTER, 'roster_file = "strange.note"', 3, "roster is not signed by demo.hakari.example/owner"),
    (ROSTER, 'roster_file = "users"', 3, "check it and [edge].owner_key"),
    ('namespace = "demo.hakari.example"', 'namespace = "other.example"', 3, "[edge].namespace is other.example"),
    ('site = "solar"', 'site = "so+lar"', 3, "edge id 'so+lar-e1' must be"),
    ('site = "solar"', 'site = "so#lar"', 3, "edge id 'so#lar-e1' must be"),
    ('site = "solar"', 'site = "$SYS"', 3, "edge id '$SYS-e1' must be"),
    (SPOOL, 'spool = "no/such/folder/spool"', 3, "make its folder or correct the path"),
    (SPOOL, 'spool = "solar-e1.password"', 4, "file is not a database"),
    ('source = "system"', 'source = "lockstep"\naddress = "driver"', 3, "[clock].address = 'driver' is not host:port"),
    (PROFILE, '"schneider-iem3156"', 3, "profile 'schneider-iem3156' is not bundled; did you mean schneider-iem3155"),
    (PROFILE, '"unknown.toml"', 3, "[points#2].kindd is not a known key; did you mean kind?"),
    (PROFILE, '"overlap.toml"', 3, "points energy and power overlap at holding register 1"),
    ("unit = 2", "unit = 1", 3, "meters inverter and export are both unit 1 on bus bus1"),
    ("unit = 2", "unit = 300", 3, "unit = 300"),
]


@pytest.mark.parametrize(("old", "new", "code", "part"), EDGE_REFUSALS)
def test_bad_input_03_an_edge_is_refused(
    layout: Layout, capsys: pytest.CaptureFixture[str], old: str, new: str, code: int, part: str
) -> None:
    said = refusal(capsys, code, "edge", "run", edited(layout.folder / "solar-e1.toml", old, new))
    assert part in said
    assert "hunter2" not in said


INGEST_REFUSALS = [
    ("[broker]", "[brokers]", 3, "brokers is not a known key; did you mean broker?"),
    ("[broker]\n", "[broker]\nport = 1\n", 3, "given twice"),
    ('"ingest.pem"', '"none.pem"', 3, "none.pem cannot be read: No such file"),
    ('"ingest.pem"', '"open.pem"', 6, "open.pem has mode 0644; run: chmod 600"),
    (ROSTER, 'roster_file = "strange.note"', 3, "roster is not signed by demo.hakari.example/owner"),
    (ROSTER, 'roster_file = "none.note"', 3, "cannot be read: No such file or directory"),
    ('evidence = "evidence.db"', 'evidence = "users"', 4, "file is not a database"),
    ('evidence = "evidence.db"', 'evidence = "no/such/e.db"', 4, "check that the folder exists"),
    ('host = "127.0.0.1"', 'host = "a..b"', 3, "[broker].host = 'a..b' is neither"),
    ('"ingest-all.password"', '"none"', 3, "[broker].password_file"),
    ('namespace = "demo.hakari.example"', 'namespace = "UPPER"', 3, "namespace 'UPPER' must be"),
]


@pytest.mark.parametrize(("old", "new", "code", "part"), INGEST_REFUSALS)
def test_ingest_is_refused(
    layout: Layout, capsys: pytest.CaptureFixture[str], old: str, new: str, code: int, part: str
) -> None:
    assert part in refusal(capsys, code, "ingest", "run", "--config", edited(layout.ingest_config, old, new))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"[edge]\nsite = '\xff'\n", "is not UTF-8 (line 2); save it as UTF-8"),
        (b"", "the file is empty"),
        (b"\0" * 100, "not valid TOML"),
        (b"[edge", "not valid TOML"),
        (None, "is larger than 1048576 bytes; this is not a settings file"),
    ],
)
@pytest.mark.parametrize("words", [("edge", "run"), ("edge", "check"), ("ingest", "run", "--config")])
def test_bad_input_01_files_that_are_no_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], content: bytes | None, part: str
) -> None:
    path = tmp_path / "settings.toml"
    if content is None:
        with path.open("wb") as file:
            file.truncate(100 * 1024 * 1024)
    else:
        path.write_bytes(content)
    assert part in refusal(capsys, 3, *words, path)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('zone = "Etc/GMT+7"\n', "", "the time zone is missing; give the plant's as an IANA name"),
        ('zone = "Etc/GMT+7"', 'zone = "Mars/Olympus"', "time zone 'Mars/Olympus' is not known"),
        ('country = "DEMO"', 'country = "DEMO"\ncuontry = "x"', "did you mean country?"),
        ('country = "DEMO"', 'country = "DEMO"\ncountry = "x"', "given twice"),
        ("0.533", "a lot", "[parameter#1].value = 'a lot'"),
    ],
)
def test_a_project_is_refused(
    layout: Layout, capsys: pytest.CaptureFixture[str], old: str, new: str, part: str
) -> None:
    project = layout.folder / "project.toml"
    project.write_text((PLANTS / "solar.project.toml").read_text())
    assert part in refusal(capsys, 3, "project", "add", edited(project, old, new), "--config", layout.calc_config)


def test_times_without_a_zone_are_refused(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = edited(layout.folder / "scenario.toml", START, START.removesuffix("-07:00"))
    assert "start" in refusal(capsys, 3, "simulate", "lockstep", scenario)
    plant = layout.folder / "solar.plant.toml"
    assert "has no zone; add its offset" in refusal(
        capsys, 3, "simulate", "plants", plant, "--at", "2016-07-01T00:00:00"
    )


def test_meters_that_cannot_be_read(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    config = layout.folder / "solar-e1.toml"
    port = layout.plants[0].modbus_port
    said = refusal(capsys, 4, "edge", "read", config, "--meter", "inverter")
    assert said.startswith(f"error: meter inverter gives no answer; tcp://127.0.0.1:{port}: the host refuses")
    assert "known are inverter, export" in refusal(capsys, 3, "edge", "read", config, "--meter", "invertor")
    with socket.create_server(("127.0.0.1", port)):
        assert "the connection opens and unit 2 stays silent (timeout)" in refusal(
            capsys, 4, "edge", "read", config, "--meter", "export"
        )
    with socket.create_server(("127.0.0.1", port)) as server:
        threading.Thread(target=_answer_with_noise, args=(server,), daemon=True).start()
        assert "something answers, and it is no answer to what was asked (mismatch: " in refusal(
            capsys, 4, "edge", "read", config, "--meter", "export"
        )


def _answer_with_noise(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.recv(1024)


def test_status_before_anything_ran(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    config = layout.folder / "boiler-e1.toml"
    said = refusal(capsys, 4, "edge", "status", config)
    assert said.endswith(f"boiler-e1.spool yet; start the edge: hakari edge run {config}")
    absent = edited(layout.ingest_config, "evidence.db", "absent.db")
    for words in (("log", "fsck"), ("log", "list"), ("view", "status"), ("quarantine", "list")):
        assert "check that the folder exists" in refusal(capsys, 4, *words, "--config", absent)


def test_a_process_ends_with_the_code_that_its_sentence_goes_with(layout: Layout) -> None:
    """Once as a process: `python -m hakari` used to end with 0 whatever had happened."""
    bad = edited(layout.folder / "solar-e1.toml", "interval_s = 1", "intervall_s = 1")
    done = subprocess.run(argv("edge", "run", bad), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    """A day of one plant, computed and packed, with the API up."""
    folder = tmp_path_factory.mktemp("computed")
    with Chain(folder, [solar()], START, END) as chain:
        chain.start_all()
        chain.finish()
        place = chain.layout.plants[0]._replace(project_file=folder / "solar.project.toml")
        (folder / "solar.project.toml").write_text((PLANTS / "solar.project.toml").read_text())
        layout = chain.layout._replace(plants=[place])
        demo.compute(layout)
        yield layout


def test_a_pack_that_is_cut_off_or_something_else(
    computed: Layout, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    whole = demo.pack_of(computed, computed.plants[0]).read_bytes()
    bad = tmp_path / "bad.hakari"
    for content in (b"", whole[:1], whole[: len(whole) // 2], whole[:-1], whole + b"\0", b"x" * 5000, b"PK\x03\x04"):
        bad.write_bytes(content)
        code = main(["verify", str(bad), "--owner-key", computed.owner_key])
        out, err = capsys.readouterr()
        assert code == 5, f"{len(content)} of {len(whole)} bytes: {out}{err}"
        assert "Traceback" not in err
        assert (out + err).count("problem:") + err.count("error:") >= 1
    for path, said in ((tmp_path / "none.hakari", "none.hakari"), (tmp_path, str(tmp_path))):
        assert said in refusal(capsys, 3, "verify", path, "--owner-key", computed.owner_key)
    bad.write_bytes(whole)
    assert main(["verify", str(bad), "--owner-key", computed.owner_key]) == 0


def test_tokens_that_let_nobody_in(computed: Layout, tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("api", argv("api", "run", "--config", computed.api_config))
        processes.wait_listening("api", "127.0.0.1", computed.api_port)
        token = call(
            "user", "token", "create", "--role", "verifier", "--project", "*", "--days", "1",
            "--config", computed.api_config,
        )["token"]  # fmt: skip
        for wrong in (
            "",
            "Bearer",
            "Bearer ",
            f"Bearer {token}x",
            f"Basic {token}",
            "Bearer " + "x" * 5000,
            "Bearer é",
        ):
            code, kind = _status(computed, wrong)
            assert (code, kind) == (401, "application/problem+json"), wrong[:20]
        assert _status(computed, f"Bearer {token}")[0] == 200
        processes.check()


def _status(layout: Layout, authorization: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{layout.api_port}/v1/projects")
    request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type()
