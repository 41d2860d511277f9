"""The SQL schema: tables, conversion of rows, prepared statements, migration."""
