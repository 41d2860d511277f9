"""Handlers of Nova's compute API below /v2.1, whose servers are instances."""
