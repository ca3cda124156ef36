"""What durable turns need: leases, dead letters, the outbox, approvals, jobs and schedules."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ZERO = sa.text("0")


def upgrade() -> None:
    leases()
    outbox()
    approvals()
    jobs()


def lease_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", sa.BigInteger, nullable=False, server_default=ZERO),
    ]


def leases() -> None:
    for column in lease_columns():
        op.add_column("conversation", column)
    op.add_column("inbox", sa.Column("begun_at", sa.BigInteger))
    for name in ("claims", "fence", "stop_asked"):
        op.add_column("inbox", sa.Column(name, sa.BigInteger, nullable=False, server_default=ZERO))
    dead = sa.text("state = 'dead'")
    op.create_index("ix_inbox_dead", "inbox", ["seq"], sqlite_where=dead, postgresql_where=dead)


def outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("conversation_id", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False, server_default=ZERO),
        *lease_columns(),
        sa.Column("next_at", sa.BigInteger, nullable=False, server_default=ZERO),
        sa.Column("platform_id", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("sent_at", sa.BigInteger),
    )
    op.create_index("ix_outbox_conversation", "outbox", ["conversation_id", "seq"])
    unsent = sa.text("sent_at IS NULL")
    op.create_index(
        "ix_outbox_unsent",
        "outbox",
        ["channel", "conversation_id", "seq"],
        sqlite_where=unsent,
        postgresql_where=unsent,
    )


def approvals() -> None:
    op.create_table(
        "approval",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.BigInteger, nullable=False),
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("decided_at", sa.BigInteger),
        sa.Column("decided_by", sa.Text),
        sa.Column("note", sa.Text),
        sa.UniqueConstraint("turn_id", "call_id", name="uq_approval_call"),
    )
    op.create_index("ix_approval_conversation", "approval", ["conversation_id"])
    op.create_index("ix_approval_tenant", "approval", ["tenant_id", "state", "requested_at"])


def jobs() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False, server_default=ZERO),
        sa.Column("max_attempts", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default=ZERO),
        *lease_columns(),
        sa.Column("run_at", sa.BigInteger, nullable=False),
        sa.Column("stop_asked", sa.BigInteger, nullable=False, server_default=ZERO),
        sa.Column("progress", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("begun_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("ix_job_tenant", "job", ["tenant_id", "created_at"])
    undone, keyed = sa.text("ended_at IS NULL"), sa.text("key IS NOT NULL")
    op.create_index("ix_job_open", "job", ["run_at"], sqlite_where=undone, postgresql_where=undone)
    op.create_index(
        "uq_job_key",
        "job",
        ["tenant_id", "kind", "key"],
        unique=True,
        sqlite_where=keyed,
        postgresql_where=keyed,
    )
    op.create_table(
        "schedule",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("cron", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("paused", sa.BigInteger, nullable=False, server_default=ZERO),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger),
    )
