"""The shop, once per engine and session."""

from tests.connectors.shops import any_shop, duckdb_shop, mysql_shop, postgres_shop, sqlite_shop

__all__ = ["any_shop", "duckdb_shop", "mysql_shop", "postgres_shop", "sqlite_shop"]
