"""What an algorithm sees of a clip: which frames, how augmented."""
