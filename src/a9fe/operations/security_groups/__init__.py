"""Security groups with their rules, and address groups. Recorded: a9fe filters no packets."""
