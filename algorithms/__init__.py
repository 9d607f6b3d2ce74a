"""The algorithms: one file a method, and `parts` shared by them. Found by name through the registry."""
