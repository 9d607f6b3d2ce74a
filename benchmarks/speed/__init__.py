"""What steps, data and tables cost: the scripts behind every claim about speed."""
