"""The command: its root group, shared output and the key commands."""
