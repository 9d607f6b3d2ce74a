"""The page of every method in docs/algorithms: what its class says of itself, counted costs, results."""
