"""Labels that people give: a set of pairs and the way through it, and what the labels say."""
