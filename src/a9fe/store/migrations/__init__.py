"""Alembic's environment, run by Store.migrate; versions/ holds one module a schema change."""
