"""Queries over resources: pages of lists, and the resources of a host."""
