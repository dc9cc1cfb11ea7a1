"""Who may publish and subscribe what: an edge its own three topics, ingest every batch and every mark."""

from __future__ import annotations

from typing import Literal

from hakari import names

Action = Literal["publish", "subscribe", "receive"]

BATCHES = "hakari/v1/batch/"
MARKS = "hakari/v1/mark/"
CONFIGS = "hakari/v1/config/"


def allowed(user: str, action: Action, topic: str) -> bool:
    """Whether `user` may do `action` on `topic` (a filter when subscribing). Everything else is denied."""
    if user == names.INGEST_CLIENT_ID:
        if action == "publish":
            edge_id = topic.removeprefix(MARKS)
            return topic.startswith(MARKS) and _is_edge(edge_id)
        return topic.startswith(BATCHES)
    if not _is_edge(user):
        return False
    if action == "publish":
        return topic == names.batch_topic(user)
    return topic in (names.mark_topic(user), CONFIGS + user)


def _is_edge(name: str) -> bool:
    try:
        names.check_edge_id(name)
    except names.BadName:
        return False
    return name != names.INGEST_CLIENT_ID
