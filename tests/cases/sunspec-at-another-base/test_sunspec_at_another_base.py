"""The same device at three bases gives the same values; the profile of one is never right for another."""

from __future__ import annotations

import pytest

from edge.reads.plan import requests_of
from edge.sunspec.chain import BASES
from edge.sunspec.definitions import definitions
from edge.sunspec.profile import profile_of
from hakari.quality import Quality
from hakari.registers.decode import decode_sample
from hakari.registers.profile import Profile
from hakari.registers.reading import Reading
from tests.unit.sunspec_device import Device, common, model, walked

RAWS = {"TotWhImp": 12_345, "TotWhExp": 6, "TotWh_SF": 1}


def device(base: int, vendor_words: int) -> Device:
    vendor = (64061, vendor_words, *[7] * vendor_words)
    return Device(base, common(), vendor, model(203, RAWS))


def sample(profile: Profile, asked: Device) -> dict[str, Reading]:
    blocks = []
    for request in requests_of(profile, 1):
        error = asked.read(request.address, request.count).error
        answer = b"" if error else asked.answer(request.address, request.count)
        blocks.append((request.encode(), answer, error))
    return {reading.point: reading for block in decode_sample(profile, "m", blocks) for reading in block}


@pytest.mark.parametrize("base", BASES)
def test_the_mark_is_found_and_the_counters_are_read(base: int) -> None:
    readings = sample(profile_of(walked(device(base, 9)), definitions()), device(base, 9))
    assert readings["energy_import"].value == 123_450
    assert readings["energy_export"].value == 60


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("other", "vendor_words"), [(40000, 8), (50000, 9), (0, 9), (40000, 10)])
def test_the_profile_of_one_layout_reads_nothing_from_another(base: int, other: int, vendor_words: int) -> None:
    if (base, 9) == (other, vendor_words):
        return
    profile, another = profile_of(walked(device(base, 9)), definitions()), device(other, vendor_words)
    another.words = dict.fromkeys(range(65_536), 1) | another.words
    readings = sample(profile, another)
    assert readings
    assert {one.quality for one in readings.values()} == {Quality.BAD}
