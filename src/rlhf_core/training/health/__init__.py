"""Signs that a training goes wrong, read off its rows of metrics by name; whichever trainer wrote them."""
