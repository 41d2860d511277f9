"""Handlers of Nova's compute API below /v2.1: servers are records of instances."""
