"""The API of buyers: coverage, prices, orders, grants."""
