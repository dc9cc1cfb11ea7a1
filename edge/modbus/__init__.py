"""Modbus on a line: frames and whose answer they are (pure), transports, and the port that they stand behind."""
