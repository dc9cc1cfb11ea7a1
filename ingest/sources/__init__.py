"""Readings of other senders: files, Telegraf, plain JSON, Sparkplug B; each becomes leaves of ingest's own log."""
