"""The embedded data and tiny base model; README.md says how each was made."""
