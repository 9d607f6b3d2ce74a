"""Stored decoded frames: file formats, the size-limited cache, and the store that reads through it."""
