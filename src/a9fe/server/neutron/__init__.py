"""Handlers of Neutron's API v2.0."""
