"""Seeded chance: the same seed, label and index give the same number in any process, in any order."""

from __future__ import annotations

import functools
import hashlib

CACHED = 4096
_STEPS = 2**53


@functools.lru_cache(maxsize=CACHED)
def unit(seed: int, label: str, index: int) -> float:
    """A number in [0, 1) that depends on its arguments only."""
    digest = hashlib.blake2b(f"{seed}/{label}/{index}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / _STEPS


def smooth(seed: int, label: str, at: float) -> float:
    """A number in [0, 1) that moves linearly from one seeded value at an integer to the next."""
    index = int(at // 1)
    share = at - index
    return unit(seed, label, index) * (1 - share) + unit(seed, label, index + 1) * share
