"""An edge's settings, a folder with its key and its owner's roster, and the edge in it, for tests of the edge."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.modbus.bus import Bus
from edge.reads.sampling import Sampling
from edge.run import Edge
from edge.settings import load_settings
from hakari.cli.root import main
from hakari.clock import PlantClock
from hakari.log.note import SigningKey

OWNER = str(SigningKey("plant.example/owner", Ed25519PrivateKey.from_private_bytes(bytes(32))).verifier)
HEAD = """
[edge]
namespace = "plant.example"
site = "{site}"
name = "e1"
key_file = "edge.pem"
owner_key = "{owner}"
roster_file = "roster.note"
spool = "edge.spool"
interval_s = {interval_s}
[broker]
host = "127.0.0.1"
"""
TWO_BUSES = """
[[bus]]
id = "pv"
host = "10.0.0.7"
timeout_s = 2
[[bus]]
id = "house"
host = "10.0.0.8"
port = 1502
timeout_s = 0.5
[[meter]]
id = "inverter"
bus = "pv"
unit = 1
profile = "sunspec-inverter-103"
serial = "PV-000123"
[[meter]]
id = "export"
bus = "house"
unit = 1
profile = "schneider-iem3155"
serial = "4711"
"""


def settings_text(body: str, interval_s: int = 900, owner: str = OWNER, site: str = "sola") -> str:
    """An edge's settings with `body` after the keys of its broker."""
    return HEAD.format(owner=owner, site=site, interval_s=interval_s) + body


def one_meter(profile: str, meter: str = "heat", bus: str = "line", place: str = 'host = "127.0.0.1"') -> str:
    """A bus at `place` and its only meter, at unit 1."""
    return (
        f'[[bus]]\nid = "{bus}"\n{place}\n[[meter]]\nid = "{meter}"\nbus = "{bus}"\nunit = 1\nprofile = "{profile}"\n'
    )


def settings_in(folder: Path, body: str, interval_s: int = 900, edge: str = "sola-e1") -> Path:
    """`edge.toml` with these buses and meters, beside a key and a roster that knows `edge`."""
    for argv in (
        ["owner", "--out", "owner.pem", "--name", "plant.example/owner"],
        ["edge", "--out", "edge.pem"],
        ["cosigner", "--out", "ingest.pem", "--name", "plant.example/ingest"],
    ):
        assert main(["keys", *(str(folder / one) if one.endswith(".pem") else one for one in argv)]) == 0
    assert main([
        "keys", "roster", "new", str(folder / "roster.note"), "--owner", str(folder / "owner.pem"),
        "--namespace", "plant.example", "--edge", f"{edge}={folder / 'edge.pem.pub'}",
        "--cosigner", str(folder / "ingest.pem.pub"),
    ]) == 0  # fmt: skip
    path = folder / "edge.toml"
    path.write_text(settings_text(body, interval_s, (folder / "owner.pem.pub").read_text().strip()))
    return path


def edge_on(config: Path, hands: PlantClock, buses: dict[str, Bus]) -> Edge:
    """The edge of `config`, its log begun, with the test's clock and buses."""
    edge = Edge(load_settings(config, {}), config.parent)
    edge.clock = hands
    edge.buses = buses
    edge.sampling = Sampling(edge.configuration, buses, hands)
    edge.log.start(edge.text, hands.now())
    return edge
