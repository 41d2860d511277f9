"""Handlers of a9fe's own API below /a9fe/v1: agents, instances, the feed, tokens, keys."""
