"""Entry points, found and loaded."""
