"""The rows of the table, one module a subject; each function measures and gives its figures."""
