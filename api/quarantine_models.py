"""What the API says of quarantined messages and of decisions about them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.models import Answer, Link, Listed, Sha256Text, TimeText


class QuarantineLinks(Answer):
    """Where to go from a quarantined message."""

    self: Link
    payload: Link


class QuarantineSummary(Answer):
    """A message that could not be taken, in a list."""

    id: int = Field(examples=[17])
    received_at: TimeText
    source: str = Field(description="Its topic, origin or file.", examples=["hakari/v1/batch/3f/sola-e1"])
    reason: str = Field(description="Why it could not be taken, in one sentence.")
    bytes: int = Field(description="Length of what is kept.", examples=[812])
    sha256: Sha256Text
    links: QuarantineLinks


class QuarantineTotals(Answer):
    """What is kept at all."""

    kept: int
    bytes: int
    dropped: int = Field(description="Older ones that were dropped to stay within the limits.")


class QuarantineList(Listed):
    """Quarantined messages, the newest first."""

    items: list[QuarantineSummary]
    total: QuarantineTotals


class DecisionSummary(Answer):
    """A decision about evidence; it is never changed or deleted."""

    at: TimeText
    kind: str = Field(examples=["quarantine-released"])
    subject: str = Field(description="What it is about.", examples=["17"])
    who: str
    why: str
    detail: str = Field(description="What came of it: one line of JSON, or nothing.")


class QuarantineDetail(QuarantineSummary):
    """A quarantined message with what was decided about it."""

    decisions: list[DecisionSummary]


class DecisionList(Listed):
    """Every decision about evidence, the newest first."""

    items: list[DecisionSummary]


class Wanted(BaseModel):
    """What an operator asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    why: Annotated[
        str, Field(min_length=1, max_length=1000, pattern=r"\S", description="The reason; kept with the decision.")
    ]


class WantedAnswer(Answer):
    """That ingest was asked; its answer stands among the decisions of the message, usually within seconds."""

    status: str = Field(examples=["asked"])
    links: QuarantineLinks
