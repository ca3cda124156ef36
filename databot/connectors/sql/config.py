"""The options of a SQL connector."""

from pydantic import Field, SecretStr

from databot.connectors.base import ConnectorConfig


class SqlConfig(ConnectorConfig):
    """Where the database is, and the bounds of every query to it."""

    url: SecretStr = Field(
        description="`sqlite:///path`, `duckdb:///path`, `postgresql://user:password@host/db`, `mysql://…`, or any "
        "SQLAlchemy URL. Special characters of a password are percent-encoded; `?sslmode=verify-full&sslrootcert=PATH` "
        "encrypts and verifies."
    )
    read_only: bool = Field(
        default=True,
        description="Make the engine itself refuse writes. `false` leaves the SQL gate, which lets only reading through.",
    )
    allow_unverified_read_only: bool = Field(
        default=False,
        description="Use a database whose engine databot cannot hold read-only (SQLAlchemy URLs): the rights of the "
        "user in the URL are then what protects it.",
    )
    max_rows: int = Field(default=1000, ge=1, le=1_000_000, description="Rows of one result.")
    max_bytes: int = Field(
        default=5_000_000, ge=1000, le=2_000_000_000, description="Bytes of one result."
    )
    timeout_s: float = Field(default=30, gt=0, le=86_400, description="Longest query, in seconds.")
    schema_ttl_s: float = Field(
        default=300,
        ge=0,
        le=86_400,
        description="How long a look at the catalog is reused, in seconds.",
    )
    schemas: list[str] = Field(
        default_factory=list, description="Schemas to show; empty: all that hold data."
    )
    pool_size: int = Field(default=4, ge=1, le=64, description="Queries at the same time.")
    pool_wait_s: float = Field(
        default=10, gt=0, le=600, description="Longest wait for a free connection, in seconds."
    )
