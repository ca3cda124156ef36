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
    literal_column,
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
    Column("owner", Text),
    Column("lease_until", BigInteger, nullable=False, server_default=text("0")),
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
    Column("claims", BigInteger, nullable=False, server_default=text("0")),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("begun_at", BigInteger),
    Column("stop_asked", BigInteger, nullable=False, server_default=text("0")),
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
# Dead letters are few: an operator's list of them must not read all turns.
DEAD = inbox.c.state == literal_column("'dead'")
Index("ix_inbox_dead", inbox.c.seq, sqlite_where=DEAD, postgresql_where=DEAD)
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

# Replies on their way to a channel; HTTP clients read theirs from the turn. `id` is the turn's with the number of the
# part: the same delivery is never queued twice. `state`: pending, sending (unknown, when its worker died), sent, dead.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("conversation_id", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False, server_default=text("0")),
    Column("owner", Text),
    Column("lease_until", BigInteger, nullable=False, server_default=text("0")),
    Column("next_at", BigInteger, nullable=False, server_default=text("0")),
    Column("platform_id", Text),
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Index("ix_outbox_conversation", "conversation_id", "seq"),
)
UNSENT = outbox.c.sent_at.is_(None)
Index(
    "ix_outbox_unsent",
    outbox.c.channel,
    outbox.c.conversation_id,
    outbox.c.seq,
    sqlite_where=UNSENT,
    postgresql_where=UNSENT,
)

# A tool call that waits for a person. `digest` binds the decision to exactly this tool and these arguments.
approval = Table(
    "approval",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("conversation_id", BigInteger, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
    Column("decided_by", Text),
    Column("note", Text),
    UniqueConstraint("turn_id", "call_id", name="uq_approval_call"),
    Index("ix_approval_conversation", "conversation_id"),
    Index("ix_approval_tenant", "tenant_id", "state", "requested_at"),
)

# Background work. `key` names work that must exist once: a schedule's firing, the index of one tenant.
job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text),
    Column("arguments", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False, server_default=text("0")),
    Column("max_attempts", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("owner", Text),
    Column("lease_until", BigInteger, nullable=False, server_default=text("0")),
    Column("run_at", BigInteger, nullable=False),
    Column("stop_asked", BigInteger, nullable=False, server_default=text("0")),
    Column("progress", Text),
    Column("result", Text),
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("begun_at", BigInteger),
    Column("ended_at", BigInteger),
    Index("ix_job_tenant", "tenant_id", "created_at"),
)
UNDONE = job.c.ended_at.is_(None)
Index("ix_job_open", job.c.run_at, sqlite_where=UNDONE, postgresql_where=UNDONE)
HAS_KEY = job.c.key.is_not(None)
Index(
    "uq_job_key",
    job.c.tenant_id,
    job.c.kind,
    job.c.key,
    unique=True,
    sqlite_where=HAS_KEY,
    postgresql_where=HAS_KEY,
)

# When work is due again. `next_at` is the next firing; the job it makes is keyed by it, so it is made once.
schedule = Table(
    "schedule",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("cron", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("paused", BigInteger, nullable=False, server_default=text("0")),
    Column("next_at", BigInteger, nullable=False),
    Column("last_at", BigInteger),
)

# Alembic's own table, for the health check.
schema_version = Table("alembic_version", MetaData(), Column("version_num", Text))
