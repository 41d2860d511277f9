"""Run the migrations on the connection that Store.migrate, or a test, hands over."""

from alembic import context

from a9fe.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=False,  # the caller's transaction is around all
)
context.run_migrations()
