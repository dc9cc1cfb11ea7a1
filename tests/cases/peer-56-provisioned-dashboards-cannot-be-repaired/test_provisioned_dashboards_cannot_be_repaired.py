from __future__ import annotations

import json
from pathlib import Path

from grafana.build import files

ROOM = Path(__file__).parents[3] / "grafana"


def test_the_dashboards_in_the_tree_are_those_that_the_code_makes() -> None:
    made = {path: text for path, text in files().items() if path.startswith("dashboards/")}
    assert made
    for path, text in made.items():
        assert json.loads((ROOM / path).read_text(encoding="utf-8")) == json.loads(text)
