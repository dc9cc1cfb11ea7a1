from __future__ import annotations

import struct

import pytest

from ingest.sources.sparkplug_payload import decode, number_text
from tests.unit.sparkplug_bytes import FLOAT, metric, payload

LARGEST = 3.4028234663852886e38


@pytest.mark.parametrize("value", [LARGEST, -LARGEST, 3.4028232635611926e38, 1.401298464324817e-45])
def test_the_largest_and_smallest_floats_are_read_exactly(value: float) -> None:
    (sent,) = decode(payload(0, metric("Power", value, FLOAT))).metrics
    text = number_text(sent, FLOAT)
    assert struct.pack("<f", float(text)) == struct.pack("<f", value)
