"""Recipes, read by name: `rlhf run puns`."""
