"""The cache of features: their files, size limit and removal."""
