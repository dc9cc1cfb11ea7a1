"""What verifiers and operators see, over HTTP."""
