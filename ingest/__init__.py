"""Broker to evidence log and readings view: nothing lost, nothing twice."""
