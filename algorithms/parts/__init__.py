"""What algorithms are made of: forward passes, pseudo-labels, teachers, features."""
