"""The sections about what the replicas of one databot share: the store, and the engine between them.

As `databot.config.sections`: the shape alone. What an address means is read by the room that opens it.
"""

from pydantic import Field, SecretStr, field_validator

from databot.config.section import Section

ENGINES = (
    "memory://",
    "redis://",
    "rediss://",
    "postgres://",
    "postgresql://",
    "postgresql+asyncpg://",
    "postgresql+psycopg://",
)
"""Of `dispatch.url`."""


class StorageSection(Section):
    """Where conversations are kept."""

    url: SecretStr = Field(
        default=SecretStr("sqlite+aiosqlite:///{data_dir}/databot.db"),
        description="`sqlite+aiosqlite:///PATH` or `postgresql+asyncpg://USER:PASSWORD@HOST/DB`.",
    )


class DispatchSection(Section):
    """How waiting conversations are handed to workers."""

    url: SecretStr = Field(
        default=SecretStr("memory://"),
        description="`memory://`: inside this process; `redis://USER:PASSWORD@HOST/0` (`rediss://` encrypts) or "
        "`postgres://USER:PASSWORD@HOST/DB`: between replicas, which share `storage` too.",
    )
    lease_s: float = Field(
        default=10,
        ge=2,
        le=300,
        description="A replica that is not heard of for so long loses its conversations to the others, in seconds.",
    )

    @field_validator("url")
    @classmethod
    def known_engine(cls, url: SecretStr) -> SecretStr:
        """The scheme alone: what follows it is for the engine to read."""
        if not url.get_secret_value().startswith(ENGINES):
            raise ValueError(f"must begin with one of {', '.join(ENGINES)}")
        return url
