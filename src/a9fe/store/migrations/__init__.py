"""Alembic's migrations, which Store.migrate runs; versions/ has a module for each."""
