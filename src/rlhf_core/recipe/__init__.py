"""From a recipe's YAML to finished runs: the composition root of the house."""
