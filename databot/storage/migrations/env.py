"""Run by Alembic, never imported: says what it renders migrations for. See `databot.storage.migrate`."""

from alembic import context

context.configure(
    dialect_name=context.config.attributes["dialect"],
    transactional_ddl=False,  # the caller has the transaction
)
context.run_migrations()
