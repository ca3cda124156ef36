"""Agents answer turns."""
