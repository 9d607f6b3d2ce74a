"""Analyses of finished runs beyond their accuracies."""
