"""Tables beside those of resources. They are not in the change log."""
