"""From a suite to finished runs: what is to run, what it costs, who carries it out, how it goes."""
