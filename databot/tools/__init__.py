"""Callables for the model."""
