"""Operations: what the API does with resources, each in one transaction of the store.

An operation takes a Transaction and a typed request (NewPort, PortChange) and returns resources
of the model; it raises the model's errors. It knows nothing of HTTP or JSON. May import `store`,
`runtime`, `api_tables` and the rooms below them, and within operations only what .importlinter
allows: resources and collections above the kinds, access and quotas below them.
"""
