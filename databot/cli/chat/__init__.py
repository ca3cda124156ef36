"""Talking with databot in a terminal or through a pipe."""
