"""The benchmark: suites, the matrix of runs, statistics, tables."""
