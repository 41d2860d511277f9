"""Who calls the API, and which paths that caller may use."""
