"""Leaves from the broker into the evidence log: sessions, shards, the protocol, one commit a group."""
