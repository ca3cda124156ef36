"""Logs, traces and metrics, as wrappers and subscribers."""
