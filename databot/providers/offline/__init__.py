"""The deterministic analyst that needs no model."""
