"""The algorithms: one file per method, and their shared `parts`. The registry finds them by name."""
