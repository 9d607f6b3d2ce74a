"""Work with labels by people: which clips to label next, and which labels look wrong."""
