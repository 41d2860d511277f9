"""The change feed: what each agent is sent, and the streams that send it."""
