"""Where a profile's fingerprint does not fit, no value of the whole sample counts, whichever request read it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from hakari.quality import Quality
from tests.unit.meter_world import Asked, bundled, course, rows_of

NOT_READ = "identity not read"


class Variant(NamedTuple):
    """A bundled profile, words of a counter or gauge, and its fingerprint as it must be and as a variant has it."""

    profile: str
    value: Asked
    right: Asked
    wrong: Asked
    reason: str


VARIANTS = [
    # A hybrid stands where a string inverter was expected; registers 63 and 64 mean other things there.
    Variant(
        "deye-string", Asked("holding", 63, "e240 0001"), Asked("holding", 0, "0002"), Asked("holding", 0, "0003"),
        "identity mismatch: device_type holds '3', not '2'",
    ),
    # Firmware 1.73 of the boiler gateway has another list.
    Variant(
        "opentherm-wbe2", Asked("input", 207, "0041 0037 0048"), Asked("input", 204, "00c1"),
        Asked("input", 204, "00ad"), "identity mismatch: firmware_version holds '173', not '193'",
    ),
    # Words the other way round: 10001 h would be read as 513.095 h, which nobody would notice.
    Variant(
        "ciat-aquaciat", Asked("input", 338, "4400 461c"), Asked("input", 484, "0000 0002"),
        Asked("input", 484, "0002 0000"), "identity mismatch: unit_type holds '131072', not '2'",
    ),
    # The controller shows °F.
    Variant(
        "eaton-tc50", Asked("holding", 7, "00b0 00b5 0000"), Asked("holding", 102, "0000"),
        Asked("holding", 102, "0001"), "identity mismatch: display_unit holds '1', not '0'",
    ),
    # The device counts its registers from 1, so that the ID at 8187 is not there.
    Variant(
        "qualitrol-118", Asked("holding", 0, "0050 0053 00ff"), Asked("holding", 8187, "3ad4"),
        Asked("holding", 8187, "0000"), "identity mismatch: device_id holds '0', not '15060'",
    ),
]  # fmt: skip
EACH = pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: one.profile)


@EACH
def test_the_wrong_fingerprint_makes_every_value_bad(variant: Variant) -> None:
    for order in ([variant.value, variant.wrong], [variant.wrong, variant.value]):
        rows = rows_of(bundled(variant.profile), [order])
        assert rows
        assert {(row.quality, row.reason, row.raw) for row in rows} == {(Quality.BAD, variant.reason, 0)}


@EACH
def test_a_fingerprint_that_was_not_read_leaves_every_value_uncertain(variant: Variant) -> None:
    silent = Asked(variant.right.table, variant.right.address, asked=1, error="exception 2 (illegal data address)")
    rows = rows_of(bundled(variant.profile), [[variant.value, silent]])
    assert Quality.GOOD not in {row.quality for row in rows}
    assert NOT_READ in {row.reason for row in rows}


def test_the_right_fingerprint_lets_them_count_and_a_variant_in_between_adds_nothing() -> None:
    deye = VARIANTS[0]
    later = Asked("holding", 63, "e254 0001")
    samples = [[deye.right, deye.value], [deye.wrong, Asked("holding", 63, "ffff ffff")], [deye.right, later]]
    found = course(rows_of(bundled(deye.profile), samples), "energy_export", "10")
    assert [str(sample.running) for sample in found.samples] == ["0", "2.0"]
    assert found.incidents == []
