"""From finished runs to tables: records, selections, statistics, names, forms."""
