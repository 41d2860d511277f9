"""Commands that run processes: `a9fe up` and each process in the foreground."""
