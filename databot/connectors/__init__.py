"""Live links to data systems."""
