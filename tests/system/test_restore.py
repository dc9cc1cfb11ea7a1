"""A server restored from an old backup: the edges send again what it lost, and nobody can tell the difference."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from pathlib import Path

import pytest

from hakari.names import Origin
from hakari.store.evidence import RESTORED, EvidenceLog
from simulate.layout import call
from tests.system.chain import Chain, solar
from tests.system.postgres import PostgresServer

START = "2016-07-01T00:00:00-07:00"
END = "2016-07-03T18:00:00-07:00"
LEAVES_BEFORE = 20
LEAVES_AFTER = 30
LIMIT_S = 60.0


@pytest.mark.system
@pytest.mark.parametrize("kind", ["file", pytest.param("postgres", marks=pytest.mark.prove)])
def test_fault_37_server_restored_from_an_old_backup(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    folder, backup = tmp_path / "chain", tmp_path / "backup.db"
    with Chain(folder, [solar()], START, END, batch_samples=1) as chain:
        if kind == "postgres":
            use_postgres(chain, request.getfixturevalue("postgres"))
        config = chain.layout.ingest_config
        chain.start_all()
        wait_for(chain, LEAVES_BEFORE)
        taken = call("log", "backup", backup, "--config", config)
        assert taken["leaves"] >= LEAVES_BEFORE
        wait_for(chain, taken["leaves"] + LEAVES_AFTER)
        chain.processes.kill("ingest")
        with closing(chain.evidence()) as log:
            lost = sizes(log)
        assert chain.alive("plants"), "the run ended before the server was lost: it proves too little"
        made = call("log", "restore", backup, "--who", "operator", "--why", "disk", "--replace", "--config", config)
        assert (made["sha256"], made["leaves"]) == (taken["sha256"], taken["leaves"])
        assert made["moved_to"]
        with closing(chain.evidence()) as log:
            assert sum(sizes(log).values()) == taken["leaves"] < sum(lost.values())
        chain.start("ingest")
        chain.finish()
        chain.assert_nothing_lost_or_doubled()
        checked = call("log", "fsck", "--config", config)
        assert checked["problem_count"] == 0
        assert checked["leaves"] > sum(lost.values())
        with closing(chain.evidence()) as log:
            [decision] = log.decisions(RESTORED)
            assert (decision.who, decision.why) == ("operator", "disk")
            assert taken["sha256"] in decision.detail
            assert roots(log, lost) == roots_of_the_lost(chain, made["moved_to"], lost)


def use_postgres(chain: Chain, server: PostgresServer) -> None:
    """Lets ingest keep its evidence in a schema of its own."""
    config = chain.layout.ingest_config
    given = server.settings(chain.folder)
    text = config.read_text()
    assert 'evidence = "evidence.db"\n' in text
    config.write_text(text.replace('evidence = "evidence.db"\n', "") + "\n" + server.table(given))


def wait_for(chain: Chain, leaves: int) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        chain.processes.check()
        with closing(chain.evidence()) as log:
            if sum(sizes(log).values()) >= leaves:
                return
        assert time.monotonic() < deadline_s, "the leaves do not arrive"
        time.sleep(0.05)


def sizes(log: EvidenceLog) -> dict[Origin, int]:
    return {origin: log.head(origin).size for origin in log.origins()}


def roots(log: EvidenceLog, at: dict[Origin, int]) -> dict[Origin, bytes]:
    """The last leaf of each origin at a size: its checkpoint signs the root of all before it."""
    found = {origin: log.leaf(origin, size - 1) for origin, size in at.items()}
    return {origin: leaf.checkpoint for origin, leaf in found.items() if leaf is not None}


def roots_of_the_lost(chain: Chain, moved_to: str, at: dict[Origin, int]) -> dict[Origin, bytes]:
    """The same of the log that was moved away: what the operator lost is what the edges sent again."""
    config = chain.layout.ingest_config
    lost = chain.folder / "lost.toml"
    if "/" in moved_to:
        shutil.copy(moved_to, chain.folder / "lost.db")
        lost.write_text(config.read_text().replace('"evidence.db"', '"lost.db"'))
    else:
        schema = moved_to.split("_replaced_", maxsplit=1)[0]
        lost.write_text(config.read_text().replace(f'schema = "{schema}"', f'schema = "{moved_to}"'))
    found = {}
    for origin, size in at.items():
        shown = call("log", "show", str(origin), str(size - 1), "--config", lost)
        found[origin] = shown["checkpoint"].encode()
    return found
