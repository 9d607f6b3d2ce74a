"""Training: one run from its specification to its result, in one process or several."""
