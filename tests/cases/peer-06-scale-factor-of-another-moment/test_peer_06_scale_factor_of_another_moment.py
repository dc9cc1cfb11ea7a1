"""A factor that changes from −2 to 0 between two samples, or between two requests of one: no value is ever wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from edge.reads.plan import requests_of
from edge.sunspec.definitions import definitions
from edge.sunspec.profile import profile_of
from hakari.quality import Quality
from hakari.registers.decode import decode_sample
from hakari.registers.profile import Profile
from hakari.registers.reading import Reading
from tests.unit.sunspec_device import Device, common, inputs, model, walked

MINUS_2 = 0xFFFE
BEFORE = {"W": 12_345, "W_SF": MINUS_2, "WH": 98_765_400, "WH_SF": MINUS_2}
AFTER = {"W": 124, "W_SF": 0, "WH": 987_655, "WH_SF": 0}
MODULE = {"DCA": 100, "DCV": 1, "DCW": 1, "DCWH": 5000, "Tmp": 0, "DCSt": 4}
HIGH, LOW = {"DCA_SF": 0, "DCWH_SF": 0}, {"DCA_SF": MINUS_2, "DCWH_SF": MINUS_2}


def device(raws: dict[str, int]) -> Device:
    return Device(40000, common(), model(103, raws))


def sample(profile: Profile, *moments: Device) -> dict[str, Reading]:
    """One sample whose first request is answered by the first of `moments`, each later one by the next or the last."""
    blocks = [
        (request.encode(), moments[min(k, len(moments) - 1)].answer(request.address, request.count), "")
        for k, request in enumerate(requests_of(profile, 1))
    ]
    return {reading.point: reading for block in decode_sample(profile, "m", blocks) for reading in block}


def test_a_factor_that_changes_between_two_samples_leaves_both_exact() -> None:
    profile = profile_of(walked(device(BEFORE)), definitions())
    first, second = sample(profile, device(BEFORE)), sample(profile, device(AFTER))
    assert [one["active_power"].value for one in (first, second)] == [Decimal("123.45"), Decimal(124)]
    assert [one["energy_export"].value for one in (first, second)] == [Decimal(987_654), Decimal(987_655)]
    assert {first["energy_export"].quality, second["energy_export"].quality} == {Quality.GOOD}


def test_a_factor_that_changes_between_two_requests_of_one_sample_mixes_nothing() -> None:
    """Seven modules do not fit into one request, so that a sample of them takes several."""
    early, late = (Device(0, common(), inputs(factors, [MODULE] * 7)) for factors in (HIGH, LOW))
    profile = profile_of(walked(early), definitions())
    assert len(requests_of(profile, 1)) > 1
    for moments in ((early, late), (late, early)):
        readings = sample(profile, *moments)
        energies = {readings[f"dc_energy_{k}"].value for k in range(1, 7)}
        currents = {readings[f"dc_current_{k}"].value for k in range(1, 7)}
        assert (energies, currents) in (({Decimal(5000)}, {Decimal(100)}), ({Decimal(50)}, {Decimal(1)}))
    assert "dc_energy_7" in profile.notes


@pytest.mark.parametrize("factor", [11, 0xFFF5, 0x8000, 0x7FFF])
def test_a_factor_outside_its_limits_makes_the_value_bad(factor: int) -> None:
    profile = profile_of(walked(device(BEFORE)), definitions())
    reading = sample(profile, device(BEFORE | {"WH_SF": factor}))["energy_export"]
    assert reading.quality is Quality.BAD
    assert reading.reason.startswith("scale factor invalid: ")


def test_a_counter_that_has_not_accumulated_is_no_zero() -> None:
    profile = profile_of(walked(device(BEFORE)), definitions())
    reading = sample(profile, device(BEFORE | {"WH": 0}))["energy_export"]
    assert (reading.quality, reading.value, reading.reason) == (Quality.BAD, None, "not accumulated")
