"""Kinds of events, and their fields, that an edge writes and another room looks for: their one home."""

from __future__ import annotations

# Answers to requests from afar: each event names its request by SERIAL, and says REASON where it refuses.
TAKEN, REFUSED = "configuration-taken", "configuration-refused"
ANSWERED, UNANSWERED = "diagnostics", "diagnostics-refused"
ANSWERS = (TAKEN, REFUSED, ANSWERED, UNANSWERED)
SERIAL, REASON = "serial", "reason"
TEXT_PART = "text."

# When the edge's certificate at the broker ends: ISO 8601, "" where it cannot be read.
CERTIFICATE, NOT_AFTER = "certificate", "not_after"

# What is known of a meter on site.
COMMISSIONING, COMMISSIONING_POINTS, METER_REPLACED = "commissioning", "commissioning-points", "meter-replaced"
