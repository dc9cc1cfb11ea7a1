"""The quality of a reading: a number that may credit, one that may not decide alone, or none at all."""

from __future__ import annotations

from enum import IntEnum


class Quality(IntEnum):
    """Only GOOD readings become boundary registers; BAD ones carry a reason and no value."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2
