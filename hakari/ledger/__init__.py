"""The ledger: records of projects, periods and statements, and the port to keep them."""
