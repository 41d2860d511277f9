"""a9fe: every VM reads its own metadata at 169.254.169.254."""
