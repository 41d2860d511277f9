"""Queries over resources: pages of lists, what a project sees, what is on which host."""
