"""Drivers: one file an engine, each on the engine's own client."""
