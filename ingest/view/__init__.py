"""From the evidence log to the readings view, and what people ask of it."""
