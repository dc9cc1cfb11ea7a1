"""Which meter it is, and whether it says what its display shows: fingerprint, commissioning, replacement."""
