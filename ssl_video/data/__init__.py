"""Data: from what people have to batches."""
