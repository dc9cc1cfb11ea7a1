"""A folder with an edge's key, its owner's roster and its settings, for tests of the edge."""

from __future__ import annotations

from pathlib import Path

from hakari.cli.root import main

HEAD = """
[edge]
namespace = "plant.example"
site = "sola"
name = "e1"
key_file = "edge.pem"
owner_key = "{owner}"
roster_file = "roster.note"
spool = "edge.spool"
interval_s = {interval_s}
[broker]
host = "127.0.0.1"
"""


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
    path.write_text(HEAD.format(owner=(folder / "owner.pem.pub").read_text().strip(), interval_s=interval_s) + body)
    return path
