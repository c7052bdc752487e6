"""Plugins: found through entry points, isolated from each other, named without clashes."""
