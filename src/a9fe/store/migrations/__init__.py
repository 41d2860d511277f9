"""Alembic's migrations; Store.migrate runs them. versions/ has one module a schema change."""
