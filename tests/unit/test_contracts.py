"""Every import contract is proven to fail when it is broken, and `hakari/` holds only what is shared."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("edge", "ingest", "calc", "api", "simulate", "grafana")
LINT = Path(sys.executable).with_name("lint-imports")
LINTER: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS: dict[str, dict[str, Any]] = {contract["id"]: contract for contract in LINTER["contracts"]}

# Contract → imports that it must refuse, as (importing module, imported module).
BREAKING: dict[str, list[tuple[str, str]]] = {
    "rooms": [(one, other) for one in ROOMS for other in ROOMS if one != other],
    "shared": [("hakari.names", room) for room in ROOMS],
    "layers": [
        ("hakari.errors", "hakari.names"),
        ("hakari.names", "hakari.registers.reading"),
        ("hakari.registers.reading", "hakari.wire.leaf"),
        ("hakari.wire.leaf", "hakari.log.tree"),
        ("hakari.log.tree", "hakari.store.view"),
        ("hakari.log.tree", "hakari.ledger"),
        ("hakari.pack", "hakari.store.evidence_sqlite"),
        ("hakari.ledger.types", "hakari.store.ledger_sql"),
        ("hakari.store.view_sqlite", "hakari.cli.output"),
        ("hakari.store.view_influx", "hakari.store.opened"),
        ("hakari.store.evidence_postgres", "hakari.store.evidence_copy"),
        ("hakari.store.evidence_copy", "hakari.store.opened"),
        ("hakari.postgres", "hakari.store.evidence"),
        ("hakari.store.lines", "hakari.store.view_influx"),
        ("hakari.store.view", "hakari.store.days"),
        ("hakari.influxdb", "hakari.store.operations"),
        ("hakari.measurements", "hakari.wire.leaf"),
        ("hakari.alive", "hakari.ledger"),
        ("hakari.settings", "hakari.cli"),
        ("hakari.smallfile", "hakari.registers.reading"),
        ("hakari.mqtt", "hakari.wire.envelope"),
        ("hakari.lockstep", "hakari.registers.reading"),
        ("hakari.crash", "hakari.log.tree"),
        ("hakari.cli.output", "hakari.__main__"),
    ],
    "edge": [("edge.reads.sampler", module) for module in CONTRACTS["edge"]["forbidden_modules"]],
    "edge-layers": [
        ("edge.modbus.tcp", "edge.reads.plan"),
        ("edge.reads.sampler", "edge.commission.identity"),
        ("edge.commission.identity", "edge.tools.scan"),
        ("edge.sunspec.chain", "edge.tools.target"),
        ("edge.run", "edge.tools.target"),
        ("edge.tools.scan", "edge.run"),
    ],
    "log": [("hakari.log.tree", module) for module in CONTRACTS["log"]["forbidden_modules"]],
    "verify": [("calc.verify", module) for module in CONTRACTS["verify"]["forbidden_modules"]],
    "methodologies": [("calc.methodologies", module) for module in CONTRACTS["methodologies"]["forbidden_modules"]],
    "modbus": [
        (room, "pymodbus")
        for room in ("edge.run", "edge.modbus.tcp", "edge.modbus.rtu", "ingest", "calc", "api", "hakari.names")
    ],
    "postgres": [(room, "psycopg") for room in (*ROOMS, "hakari.store.evidence", "hakari.postgres")],
    "influx": [(room, "influxdb_client") for room in (*ROOMS, "hakari.store.view", "hakari.influxdb")],
    "mqtt": [(module, client) for module in CONTRACTS["mqtt"]["source_modules"] for client in ("paho", "amqtt")],
}
# Shared by design before a second room takes them up, or where Python wants them; an entry that is no longer
# needed fails the test.
AWAITED = {"hakari.__main__"}
# What a contract's author must at least have meant to forbid.
MEANT = {
    "edge": {"sqlalchemy", "pydantic", "rich", "fastapi", "hakari.store", "hakari.ledger"},
    "verify": {"sqlalchemy", "paho", "pymodbus", "fastapi", "rich"},
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages that is free to break."""
    copy = tmp_path_factory.mktemp("tree")
    for package in LINTER["root_packages"]:
        shutil.copytree(ROOT / package, copy / package, ignore=lambda _, names: [n for n in names if _is_data(n)])
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def _is_data(name: str) -> bool:
    return name == "__pycache__" or ("." in name and not name.endswith(".py"))


def lint(tree: Path, contract: str) -> tuple[int, str]:
    """Exit code and what was said, on one line without its wrapping."""
    command = [str(LINT), "--no-cache", "--contract", contract]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def broken(tree: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The tree with every import of one contract's list in it, mended afterwards."""
    before: dict[Path, str] = {}
    for importer, imported in BREAKING[request.param]:
        path = tree.joinpath(*importer.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        before.setdefault(path, path.read_text())
        path.write_text(f"{path.read_text()}\nimport {imported}\n")
    yield tree
    for path, text in before.items():
        path.write_text(text)


def test_every_contract_has_a_breaking_example() -> None:
    assert set(BREAKING) == set(CONTRACTS)


def test_contracts_forbid_what_was_meant() -> None:
    for contract, modules in MEANT.items():
        assert modules <= set(CONTRACTS[contract]["forbidden_modules"])


@pytest.mark.parametrize("contract", sorted(CONTRACTS))
def test_each_contract_is_kept(tree: Path, contract: str) -> None:
    code, said = lint(tree, contract)
    assert (code, f"{CONTRACTS[contract]['name']} KEPT" in said) == (0, True), said


@pytest.mark.parametrize(("broken", "contract"), [(name, name) for name in sorted(CONTRACTS)], indirect=["broken"])
def test_each_contract_fails_when_broken(broken: Path, contract: str) -> None:
    code, said = lint(broken, contract)
    assert code == 1, said
    assert f"{CONTRACTS[contract]['name']} BROKEN" in said
    unseen = [pair for pair in BREAKING[contract] if f"{pair[0]} -> {pair[1]}" not in said]
    assert not unseen, said


def test_what_is_shared_is_used_by_two_rooms_or_by_the_shared_itself() -> None:
    graph = grimp.build_graph(*LINTER["root_packages"], cache_dir=None)
    alone = []
    for module in sorted(graph.find_children("hakari")):
        inside = {module, *graph.find_descendants(module)}
        importers = {by for each in inside for by in graph.find_modules_that_directly_import(each)} - inside
        rooms = {by.split(".")[0] for by in importers} - {"hakari"}
        if len(rooms) < 2 and not any(by.startswith("hakari") for by in importers):
            alone.append((module, sorted(rooms)))
    assert {name for name, _ in alone} == AWAITED, alone


def test_every_module_of_the_stores_stands_in_a_layer() -> None:
    layers = " ".join(CONTRACTS["layers"]["layers"])
    modules = sorted(
        path.stem for path in (ROOT / "hakari/store").iterdir() if path.stem.strip("_") not in ("init", "pycache")
    )
    assert [name for name in modules if f"store.{name}" not in layers] == []


def test_no_broad_except_but_one_supervisor_a_process() -> None:
    found = []
    for path in (path for package in LINTER["root_packages"] for path in sorted((ROOT / package).rglob("*.py"))):
        found += [
            path.relative_to(ROOT).as_posix() for node in ast.walk(ast.parse(path.read_text())) if _swallows(node)
        ]
    assert len(found) == len(set(found)), found
    # What strangers send must never keep edges' leaves from being received: there a source stops alone.
    found.remove("ingest/sources/stopped.py")
    assert {Path(name).name for name in found} <= {"run.py", "__main__.py"}, found


def _swallows(node: ast.AST) -> bool:
    """A handler of everything that does not raise again as its last word."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    kinds = [
        ast.unparse(kind) for kind in (node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]) if kind
    ]
    last = node.body[-1]
    again = isinstance(last, ast.Raise) and last.exc is None
    return not again and (not kinds or bool({"Exception", "BaseException"} & set(kinds)))


def test_no_mocks_and_no_packages_under_tests() -> None:
    word = "unittest" + ".mock"
    assert not [path for path in (ROOT / "tests").rglob("*.py") if word in path.read_text()]
    packages = [path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("__init__.py")]
    assert [path for path in packages if path.parts[0] != "fixtures"] == []  # a fixture may be a package of others
