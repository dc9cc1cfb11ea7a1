"""An exchanged meter explained: what is logged, what is accepted, what is refused."""

from __future__ import annotations

import pytest

from edge.commission.commission import DisplayUnreadable
from edge.commission.identity import Known
from edge.commission.replacement import (
    Certificate,
    NotExchanged,
    Replacement,
    ReplacementInvalid,
    SerialDisagrees,
    check_new,
    check_serial,
    checked,
    explained,
)
from tests.unit.edge_display import meter

OLD = Known({"serial": "A-100"}, "serial was 'A-100' and is 'B-200'", {"serial": "B-200"}, "A-100")


def test_the_event_tells_both_meters_and_lifts_the_suspension() -> None:
    one = meter(serial="B-200")
    final, start = checked(one, ["energy_import=1234.50"], ["energy_import=0.0"])
    said = Replacement(final, start, "B-200", "burnt out", "Ann", [Certificate("b200.pdf", "ab" * 32)])
    known, event = explained(one, OLD, {"serial": "B-200"}, [("07", "03")], said, 9)
    assert (known.accepted, known.suspended, known.serial) == ({"serial": "B-200"}, "", "B-200")
    assert event.kind == "meter-replaced"
    assert event.data == {
        "meter": "m1", "by": "Ann", "why": "burnt out", "old_serial": "A-100", "new_serial": "B-200",
        "suspended": OLD.suspended, "old_final.energy_import": "1234.50 kWh", "new_start.energy_import": "0.0 kWh",
        "old.serial": "A-100", "new.serial": "B-200", "certificate.0": f"{'ab' * 32} b200.pdf", "raw.0": "07 03",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "--old-final is missing"),
        (["voltage_l1=230"], "no counter 'voltage_l1'"),
        (["energy_import=-1"], "0 or more and given once"),
        (["energy_import=1", "energy_import=2"], "0 or more and given once"),
    ],
)
def test_registers_that_cannot_be_used_are_refused(words: list[str], sentence: str) -> None:
    with pytest.raises(ReplacementInvalid, match=sentence):
        checked(meter(), words, [])


def test_a_register_that_is_no_number_is_refused() -> None:
    with pytest.raises(DisplayUnreadable, match="is no number"):
        checked(meter(), ["energy_import=1,5"], [])


def test_settings_person_and_meter_must_name_one_serial() -> None:
    check_serial(meter(serial="B-200"), "", {"serial": "B-200"})
    check_serial(meter(serial="B-200"), "B-200", {})
    with pytest.raises(ReplacementInvalid, match=r"still has serial = 'A-100'; write serial = 'B-200' there"):
        check_serial(meter(serial="A-100"), "B-200", {"serial": "B-200"})
    with pytest.raises(SerialDisagrees, match="tells serial 'B-200', not 'A-100'"):
        check_serial(meter(serial="A-100"), "", {"serial": "B-200"})


def test_the_same_meter_is_not_explained_twice() -> None:
    once = Known({"serial": "B-200"}, serial="B-200")
    with pytest.raises(NotExchanged, match=r"serial 'B-200' is the one accepted already.*--again"):
        check_new(meter(serial="B-200"), once, {"serial": "B-200"})
    with pytest.raises(NotExchanged):
        check_new(meter(serial="B-200"), Known({}, serial="B-200"), {})


def test_another_meter_or_one_that_tells_nothing_may_be_explained() -> None:
    check_new(meter(serial="B-200"), OLD, {"serial": "B-200"})
    check_new(meter(serial="B-200"), Known({"serial": "A-100"}, serial="A-100"), {"serial": "B-200"})
    check_new(meter(serial="B-200"), Known({}, serial="A-100"), {})
    check_new(meter(), Known({}), {})
    check_new(meter(serial="B-200"), None, {"serial": "B-200"})
