"""The change feed of the server, GET /a9fe/v1/feed (docs/contracts/change-feed.md).

roles (what each role is sent) -> relations, snapshot, changes (which resources those are) ->
lines (JSON) -> stream, hub (connections). May import `store` and `model`; knows nothing of HTTP.
"""
