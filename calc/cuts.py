"""Cuts as results and statements write them."""

from __future__ import annotations

import base64

from hakari.ledger.result import Cut
from hakari.names import Origin


def cut_of(origin: Origin, size: int, root: bytes) -> Cut:
    """The cut of `origin` at `size`."""
    return Cut(origin=str(origin), size=size, root=base64.b64encode(root).decode())
