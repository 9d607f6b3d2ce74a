"""Decoded frames, kept: formats, the bounded cache, and the store that reads through it."""
