"""A profile whose scale is wrong by ten or a thousand differs from the display, and credits nothing."""

from __future__ import annotations

import pytest

from edge.commission.commission import COARSE, DIFFERS, MATCHED, Single, compared, meter_result
from hakari.quality import Quality
from hakari.registers.decode import decode_block
from hakari.registers.requests import ReadRequest
from hakari.wire.configuration import UNPROVEN
from tests.unit.edge_display import PROFILE, meter

ALONE = Single("070300000002", "0304", "")


@pytest.mark.parametrize("counts", [1, 9, 10, 73_036])
@pytest.mark.parametrize("exponent", [-4, -2, 0, 2])
def test_a_scale_wrong_by_ten_or_a_thousand_never_matches(exponent: int, counts: int) -> None:
    one = meter(PROFILE.replace("exponent = -1", f"exponent = {exponent}", 1))
    answer = b"\x03\x04" + counts.to_bytes(4, "big")
    (reading,) = decode_block(one.profile, "m1", ReadRequest(7, 3, 0, 2).encode(), answer)
    assert reading.quality is Quality.GOOD
    point, display = one.profile.points[0], f"{counts // 10}.{counts % 10}"
    told = compared(point, ALONE, [reading], display, None, accept_coarse=False)
    assert told.verdict in {DIFFERS, COARSE}
    assert meter_result(one, {}, ("not seen", ""), [told]).matched == []


def test_the_right_scale_matches_and_before_that_nothing_counts() -> None:
    one = meter()
    (reading,) = decode_block(one.profile, "m1", ReadRequest(7, 3, 0, 2).encode(), bytes.fromhex("030400011d4c"))
    told = compared(one.profile.points[0], ALONE, [reading], "7303.6", None, accept_coarse=False)
    assert told.verdict == MATCHED
    assert one.doubt("energy_import") == UNPROVEN
