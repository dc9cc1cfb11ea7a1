"""Methodologies: one pure module and one data file each, named by the hash of both."""
