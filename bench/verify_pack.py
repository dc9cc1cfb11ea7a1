"""Verifying the demo month's packs offline, against SHA-256 of the same bytes."""

from __future__ import annotations

import hashlib

from bench.meter import best
from bench.month import month
from bench.result import Result
from calc.verify import verify_pack
from hakari.log.publicfile import verifier_of
from simulate.demo import Outcome

SHA_ROUNDS = 20
PER_LEAVES = 100_000
LIMIT_S = 600.0


def run() -> list[Result]:
    """A line a pack against SHA-256, and both together extrapolated to 100,000 leaves against ten minutes."""
    owner = month().owner_key
    results, seconds, leaves = [], 0.0, 0
    for outcome in month().outcomes:
        result = _pack(outcome, owner)
        results.append(result)
        seconds, leaves = seconds + result.measured, leaves + int(outcome.verdict["leaves"])
    name = f"verify, {PER_LEAVES:,} leaves (extrapolated from {leaves:,})"
    return [*results, Result(name, seconds * PER_LEAVES / leaves, "CPU s", "limit", LIMIT_S)]


def _pack(outcome: Outcome, owner: str) -> Result:
    key, data = verifier_of(owner), outcome.pack.read_bytes()
    verified = best(lambda: verify_pack(outcome.pack, key))
    hashed = best(lambda: [hashlib.sha256(data).digest() for _ in range(SHA_ROUNDS)])
    name = f"verify {outcome.plant}, {outcome.verdict['leaves']} leaves, {len(data) / 1e6:.2f} MB"
    return Result(name, verified.cpu_s, "CPU s", "SHA-256 of the bytes", hashed.cpu_s / SHA_ROUNDS, allowed=2000)
