"""What at least two rooms share: words, wire, registers, log, pack, ledger and the ports of the stores."""

__version__ = "0.1.0"
