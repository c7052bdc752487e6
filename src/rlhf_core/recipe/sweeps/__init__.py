"""A recipe at each point of a grid, and the page of what came out."""
