"""Features of frozen networks, computed once and read in place of clips."""
