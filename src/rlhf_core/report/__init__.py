"""Metrics to a page: plain data in, one self-contained HTML text out."""
