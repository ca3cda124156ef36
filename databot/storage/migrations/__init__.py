"""Migrations of the schema, rendered by Alembic to plain SQL."""
