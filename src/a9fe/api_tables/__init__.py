"""Pure: what the API's resources look like: attribute tables, converters, lists, envelopes.

A row of a table generates the validation, the default, the filter, the JSON Schema and the
answer of one attribute. May import `plan` and the rooms below it.
"""
