"""Fakes and fixtures, shipped for plugin authors."""
