"""Pure: the shape of the API's resources: attribute tables, converters, requests and lists.

A row of an attribute table generates the validation, the default, the filter, the JSON Schema and
the answer of one attribute. Tables read a client's document into typed requests; untyped values
(`Any`) end here. May import `plan` and the rooms below it.
"""
