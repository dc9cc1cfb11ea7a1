"""The log: RFC 6962 hashes and proofs, C2SP notes, checkpoints and marks, key files and the roster."""
