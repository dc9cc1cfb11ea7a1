"""Which profile it is, by what it makes of words: the hash that a commissioning names and a verifier compares. Pure."""

from __future__ import annotations

import hashlib

import msgspec

from hakari.registers.profile import Profile

SERIAL = "serial"


def profile_sha256(profile: Profile) -> str:
    """The hash (hex) of everything that decides how a profile's words become numbers.

    Notes, page numbers, rates and the expected serial are no part of it: they alter no value.
    """
    points = [msgspec.structs.replace(point, every=1, manual="", expect=_expected(point.name, point.expect))
              for point in profile.points]  # fmt: skip
    told = {"id": profile.id, "separate": profile.separate, "points": points}
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()


def _expected(name: str, expect: str | None) -> str | None:
    return None if name == SERIAL else expect
