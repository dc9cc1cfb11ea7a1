"""Stores as ports; one adapter a file, every adapter under the same conformance suite."""
