"""The embedded database: one file, one writer thread, a few reader threads."""
