"""databot's own store."""
