"""A run's folder: its files, lock and identity."""
