"""From a suite to finished runs: specifications, costs, scheduling, executors and progress."""
