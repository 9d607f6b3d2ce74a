"""The report: one HTML page about the finished runs of a results folder, which needs no network."""
