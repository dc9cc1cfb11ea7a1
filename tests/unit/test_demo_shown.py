"""What the demo prints of a pack that does not verify, and of a period without a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simulate.demo import Demo, Outcome, shown, verdict_of

PERIOD: dict[str, Any] = {
    "methodology": {"code": "X", "version": "1.0", "standing": "recalled"},
    "notice": "not checked",
    "notice_ja": "未照合",
    "credits": False,
    "parameters": [{"standing": "demo"}],
    "equipment": [],
    "vintages": [{"quantities": {}}],
    "inputs": [{"parameter": "EG", "unit": "MWh"}],
    "completeness": "0.5",
    "totals": {
        "reference_tco2": None,
        "project_tco2": None,
        "reductions_tco2": None,
        "reductions_whole_tco2": None,
    },
}
WRONG = {"ok": False, "problems": [{"entry": "leaves/a-e1/1.leaves", "text": "leaf 3 is not what was signed"}]}


def test_a_pack_that_does_not_verify_is_told_with_its_entry_and_reason() -> None:
    assert verdict_of(WRONG) == "NOT VERIFIED: leaves/a-e1/1.leaves: leaf 3 is not what was signed"


def test_a_refused_figure_is_shown_as_refused_and_never_as_zero() -> None:
    demo = Demo([Outcome("solar", PERIOD, Path("p.hakari"), WRONG)], "http://127.0.0.1:1", "hk_x", "key")
    text = shown(demo, stays=True)
    assert text.count("refused") == 5
    assert "factors DEMO" in text
    assert "  * recalled, factors DEMO; provisional, credits nothing\n    not checked / 未照合" in text
    assert "provisional, credits nothing" in text
    assert "hk_x" in text
    assert "hk_x" not in shown(demo, stays=False)


def test_the_table_of_four_plants_fits_a_hundred_columns() -> None:
    """Every quantity has a line of its own, under the plant's; that of an equipment is shown without its name."""
    inputs = [{"parameter": "PH", "unit": "GJ"}, {"parameter": "EC", "unit": "MWh"}]
    chiller = {"parameters": [{"standing": "demo"}], "class_values": [{"standing": "recalled"}]}
    period = PERIOD | {
        "equipment": [chiller],
        "methodology": {"code": "AMORPHOUS_TRANSFORMER", "version": "1.0", "standing": "recalled"},
        "inputs": inputs,
        "vintages": [{"quantities": {"PH": "568.68481234", "EC[ch-1]": "53.8131"}}],
        "completeness": "1",
        "totals": PERIOD["totals"] | {"reference_tco2": "29.82550312", "reductions_whole_tco2": 13},
    }
    demo = Demo([Outcome("transformer", period, Path("p.hakari"), WRONG)] * 4, "", "", "")
    text = shown(demo, stays=False)
    lines = text.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("plant"))
    rows = lines[start : start + 10]
    assert max(map(len, rows)) <= 100
    assert "PH 568.6848 GJ" in rows[2]
    assert "29.8255" in rows[2]
    assert rows[3].strip() == "EC 53.8131 MWh"
    assert "\n  * recalled, factors DEMO and RECALLED; provisional" in text
