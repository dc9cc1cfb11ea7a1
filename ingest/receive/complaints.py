"""Saying what was refused without filling the log: the first of a kind at once, then how many, once a minute."""

from __future__ import annotations

import re
from collections.abc import Callable

EVERY_S = 60.0
MAX_KINDS = 200
MAX_KIND_CHARS = 200
OTHERS = "others"

_NUMBER = re.compile(r"\d+")


class Complaints:
    """Tells `say` of reasons; without a kind, those that differ in numbers alone are one."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._kinds: dict[str, tuple[float, int, str]] = {}

    def tell(self, text: str, now_s: float, kind: str = "") -> None:
        """Says `text` now where nothing of its `kind` was said within a minute, and counts it otherwise."""
        kind = kind or _NUMBER.sub("#", text)[:MAX_KIND_CHARS]
        known = self._kinds.get(kind)
        if known is None and len(self._kinds) >= MAX_KINDS:
            kind = OTHERS
            known = self._kinds.get(kind)
        if known is None:
            self._kinds[kind] = (now_s, 0, text)
            self._say(text)
        else:
            self._kinds[kind] = (known[0], known[1] + 1, text)

    def tick(self, now_s: float) -> None:
        """Says of each kind that is due how many there were meanwhile, and forgets those that have ended."""
        for kind, (since_s, more, text) in list(self._kinds.items()):
            if now_s - since_s < EVERY_S:
                continue
            if more:
                self._kinds[kind] = (now_s, 0, text)
                self._say(f"{more} more like it in {now_s - since_s:.0f} s, the last one: {text}")
            else:
                del self._kinds[kind]
