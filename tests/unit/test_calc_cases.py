"""Every folder of tests/cases/calc: a register's readings, the period, and the quantity that comes out."""

from __future__ import annotations

import tomllib
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from calc.quantity import Measured, measure
from calc.registers import HOUR_MS, Metering, course_of
from hakari.quality import Quality
from hakari.wire.rows import Row

CASES = sorted((Path(__file__).resolve().parents[1] / "cases" / "calc").glob("*/case.toml"))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _row(given: dict[str, Any], default: dict[str, Any], k: int) -> Row:
    return Row(
        point="site-e1/meter1/energy",
        t_ms=_ms(given["t"]),
        type=given.get("type", default["type"]),
        raw=given["raw"],
        exponent=given.get("exponent", default["exponent"]),
        quality=Quality[given.get("quality", "GOOD")],
        reason="",
        epoch=1,
        leaf=k,
        boot="00112233445566aa",
        mono_ms=_ms(given["t"]),
    )


def _measured(case: dict[str, Any], period: dict[str, Any]) -> Measured:
    register = case["register"]
    metering = Metering(
        role=register["role"],
        interval_ms=register["interval_h"] * HOUR_MS,
        boundary_limit_ms=register["boundary_limit_h"] * HOUR_MS,
        capacity=Decimal(register["capacity"]) if "capacity" in register else None,
        commissioned_ms=_ms(register["commissioned"]) if "commissioned" in register else None,
    )
    rows = [_row(given, register, k) for k, given in enumerate(case["reading"])]
    return measure(course_of(rows, metering), metering, _ms(period["start"]), _ms(period["end"]))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.parent.name)
def test_the_case_comes_out_as_its_why_says(path: Path) -> None:
    assert (path.parent / "why.md").read_text().strip()
    case = tomllib.loads(path.read_text())
    for period in case["period"]:
        measured = _measured(case, period)
        if "refused" in period:
            assert measured.quantity is None
            assert period["refused"] in " ".join(measured.refusals)
        else:
            assert measured.refusals == []
            assert measured.quantity == Decimal(period["quantity"])
        assert sorted(one.rule for one in measured.incidents) == sorted(period.get("rules", []))


def test_there_are_cases() -> None:
    assert len(CASES) >= 12
