"""Registers: the schema of a meter's profile and the exact decoding of what the wire said."""
