"""The SQL schema: tables, rows, prepared statements, and bringing a database to our version."""
