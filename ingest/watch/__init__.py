"""What operators are told: health of every meter and edge, contextual checks, alarms and their webhooks."""
