"""Benchmarks, each against a named peer or limit."""
