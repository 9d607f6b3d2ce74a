"""Backbones: one adapter file a library. `create` is the only door."""
