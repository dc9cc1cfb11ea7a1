"""Each row of the fault and bad-input matrices up to ingest and its view, and each peer failure, has its named test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
CASES = TESTS / "cases"
FAULTS = [*range(1, 30), 36]
BAD_INPUTS = [*range(1, 11), 12, *range(15, 36)]
PEERS = range(1, 57)
NAMED = re.compile(r"^(?:async )?def test_(fault|bad_input)((?:_\d\d)+)_", re.MULTILINE)


def named() -> Iterator[tuple[str, int]]:
    for module in TESTS.rglob("test_*.py"):
        for kind, numbers in NAMED.findall(module.read_text(encoding="utf-8")):
            yield from ((kind, int(number)) for number in numbers.split("_") if number)


def test_every_row_of_the_matrices_has_a_test_of_its_name() -> None:
    found = set(named())
    assert {("fault", row) for row in FAULTS} - found == set()
    assert {("bad_input", row) for row in BAD_INPUTS} - found == set()


@pytest.mark.parametrize("number", PEERS)
def test_every_failure_of_a_peer_is_a_case(number: int) -> None:
    folders = list(CASES.glob(f"peer-{number:02d}-*"))
    assert folders, f"no case for failure {number}"
    for folder in folders:
        assert (folder / "why.md").read_text(encoding="utf-8").startswith("# ")
        assert list(folder.glob("test_*.py"))
