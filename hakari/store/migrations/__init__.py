"""Alembic migrations of the ledger: `env.py` runs them, `versions` holds one module a revision."""
