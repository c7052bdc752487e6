"""Numbers about completions, each with its interval: running evaluators and judges, and the statistics under them."""
