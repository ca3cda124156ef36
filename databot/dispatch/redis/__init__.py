"""Dispatch over Redis."""
