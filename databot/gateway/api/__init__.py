"""The JSON routes, one file per kind of thing."""
