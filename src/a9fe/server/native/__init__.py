"""Handlers of a9fe's own API, /a9fe/v1: agents, feed, guest data, identity keys, tokens, usage."""
