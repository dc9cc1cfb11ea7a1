"""pymodbus has one importer in the rooms that read meters, and stays within one minor version."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("hakari", "edge", "ingest", "calc", "api", "grafana")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name.split(".")[0] for name in found}


def test_one_module_knows_the_library() -> None:
    importers = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "pymodbus" in imports(path)]
    assert [path.name for path in importers] == ["by_pymodbus.py"]


def test_no_other_minor_version_is_installed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in ("edge", "simulate"):
        (wanted,) = [each for each in extras[extra] if each.startswith("pymodbus")]
        assert wanted == "pymodbus>=3.16,<3.17"
