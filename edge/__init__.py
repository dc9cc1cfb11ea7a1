"""Meter to broker, through any outage."""
