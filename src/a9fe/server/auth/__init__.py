"""Authentication of the API's callers. May import the store and the rooms below it."""
