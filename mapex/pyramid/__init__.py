"""Sums per cell and zoom, and what is asked of them: coverage, live layers, what the map shows."""
