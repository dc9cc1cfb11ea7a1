"""What every decision about evidence needs: a person and a reason, kept for ever."""

from __future__ import annotations

from hakari.errors import Refused

MAX_WHO_CHARS = 200
MAX_WHY_CHARS = 1000


class WhoAndWhyMissing(Refused):
    """A decision needs a person and a reason."""


def check_who_and_why(who: str, why: str) -> None:
    """Nothing where a decision says who and why; WhoAndWhyMissing otherwise."""
    for name, value, limit in (("--who", who, MAX_WHO_CHARS), ("--why", why, MAX_WHY_CHARS)):
        if not value.strip() or len(value) > limit:
            raise WhoAndWhyMissing(f"{name} must be 1 to {limit} characters; it is kept with the decision for ever")
