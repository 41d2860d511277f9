"""What the API does with the model: each operation runs within one transaction of the store.

Takes values and returns values; knows nothing of HTTP. May import `store`, `api_tables` and the
rooms below them; the sub-packages are one for each group of resources.
"""
