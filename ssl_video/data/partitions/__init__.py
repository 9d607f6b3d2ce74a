"""The choice of labeled training clips: protocols, draws, published lists, partition files."""
