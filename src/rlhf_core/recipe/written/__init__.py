"""From a recipe as it is written, and what the command line lays over it, to validated stages; mistakes by place."""
