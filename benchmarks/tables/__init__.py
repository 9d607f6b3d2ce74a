"""Tables of finished runs: records, filters, statistics, names, output formats."""
