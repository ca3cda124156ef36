"""The exit statuses of the `databot` command and the variable that debugs it: a contract with scripts."""

DEBUG_VARIABLE = "DATABOT_DEBUG"

DONE = 0
FAILED = 1
MISUSED = 2
"""Bad usage, or a configuration that cannot be used."""
INTERRUPTED = 130
PIPE_CLOSED = 141
"""Whoever read our output has gone."""
