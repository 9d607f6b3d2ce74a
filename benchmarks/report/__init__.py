"""The report: one HTML page about the finished runs of a results folder; it works offline."""
