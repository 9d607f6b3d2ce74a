"""Which training clips are labeled: protocols, draws, published lists, partition files."""
