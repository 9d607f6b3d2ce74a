"""Building blocks shared by algorithms: forward passes, pseudo-labels, teachers, features."""
