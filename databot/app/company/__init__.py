"""The demo company: its rows, the SQLite file they are written to, and documents about them."""
