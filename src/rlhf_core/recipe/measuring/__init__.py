"""What is measured of runs: evaluators and judges over the same prompts, rankings, and whether a measure is partial."""
