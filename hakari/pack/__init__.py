"""The evidence pack: canonical container of everything that a total rests on."""
