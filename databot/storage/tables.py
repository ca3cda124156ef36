"""The tables, once for both databases.

Shaped by the durability page: a conversation holds the fence, the inbox keeps accepted messages and numbers them, the
journal what was said and done. Times are microseconds since 1970 in UTC; payloads are JSON text
(see `codec`). Conversations have a small internal number so that the clustered keys of the hot tables stay narrow.
What is not here: statements (beside the class that runs them) and changes over time (`migrations`).
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

# SQLite makes only a column of exactly this type an alias of its row number.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")

conversation = Table(
    "conversation",
    metadata,
    Column("id", RowNumber, Identity(), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("bot_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "session_id", "bot_id", name="uq_conversation_key"),
    Index("ix_conversation_used", "tenant_id", "updated_at"),
)

# `seq` is the number the database gives the row: greater than any before it, so it orders the turns of a conversation,
# and accepting a message writes no other row. With numbers counted in the conversation's row, ingest cost 1.7 times as
# much. Rows stay in the order of arrival: clustered by conversation, a commit of 32 messages touched 32 pages, and
# ingest cost half as much again. The journal is clustered, because it is what a turn reads: when a turn ends, its
# `question` is copied there, and a history is one range of one table.
inbox = Table(
    "inbox",
    metadata,
    Column("seq", RowNumber, Identity(), primary_key=True),
    Column("conversation_id", BigInteger, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("external_id", Text),
    Column("state", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False, server_default=text("0")),
    Column("accepted_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("question", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("reply", Text),
    Column("error", Text),
    Column("attachments", Text),
    UniqueConstraint("turn_id", name="uq_inbox_turn"),
    Index("ix_inbox_conversation", "conversation_id", "seq"),
)
# A turn is open exactly while `ended_at` is null; the partial index makes finding the open ones free of the ended.
OPEN = inbox.c.ended_at.is_(None)
Index(
    "ix_inbox_open",
    inbox.c.conversation_id,
    inbox.c.seq,
    sqlite_where=OPEN,
    postgresql_where=OPEN,
)
HAS_NAME = inbox.c.external_id.is_not(None)
Index(
    "uq_inbox_external",
    inbox.c.tenant_id,
    inbox.c.channel,
    inbox.c.external_id,
    unique=True,
    sqlite_where=HAS_NAME,
    postgresql_where=HAS_NAME,
)

# `seq` is the turn's number: the primary key is at once the reading order and the promise that a
# (turn, step, kind) exists once.
journal = Table(
    "journal",
    metadata,
    Column("conversation_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("key", Text),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("at", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    sqlite_with_rowid=False,
)

artifact = Table(
    "artifact",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("bot_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_artifact_conversation", "tenant_id", "bot_id", "session_id"),
)

memory = Table(
    "memory",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("principal_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Alembic's own table, for the health check.
schema_version = Table("alembic_version", MetaData(), Column("version_num", Text))
