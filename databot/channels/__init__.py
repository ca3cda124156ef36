"""Adapters to the places where people talk."""
