"""The algorithms: one file a method, and `parts.py` shared by them. Found by name through the registry."""
