"""Fuzzing of the wire code: targets, and the engine that feeds them."""
