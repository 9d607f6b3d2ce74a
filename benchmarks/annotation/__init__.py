"""Measure whether suggestions help: rules that choose clips to label, and the check of labels."""
