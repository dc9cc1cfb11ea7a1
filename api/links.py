"""The addresses that answers point to."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from hakari.period import time_text


def project_link(project_id: str) -> str:
    """A project."""
    return f"/v1/projects/{quote(project_id, safe='')}"


def period_link(period_id: str) -> str:
    """A period."""
    return f"/v1/periods/{quote(period_id, safe='')}"


def leaf_link(edge_id: str, epoch: int, i: int) -> str:
    """A leaf."""
    return f"/v1/leaves/{quote(edge_id, safe='')}/{epoch}/{i}"


def reading_link(point: str, t_ms: int) -> str:
    """The readings of one point at one instant."""
    return "/v1/readings?" + urlencode({"point": point, "start": time_text(t_ms), "end": time_text(t_ms + 1)})
