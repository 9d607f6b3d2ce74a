"""Costs of steps, data and tables: the scripts behind every claim about speed."""
